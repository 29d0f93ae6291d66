"""Ranking to ranking, with images the first stage did not find; one per file."""
