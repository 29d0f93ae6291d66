"""Collections with queries and judgements, one per file."""
