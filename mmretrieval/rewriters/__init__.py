"""Query to query, one method per file."""
