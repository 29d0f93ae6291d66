"""Query to ranking over the whole collection, one first stage per file."""
