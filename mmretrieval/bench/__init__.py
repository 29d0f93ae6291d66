"""A benchmark from its files to a report: candidates indexed once, rankings kept, measures, tables and plots."""
