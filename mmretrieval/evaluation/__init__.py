"""Measures, TREC files, query files, and the run of a searcher over queries."""
