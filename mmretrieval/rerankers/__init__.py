"""Ranking to reordered ranking, one method per file."""
