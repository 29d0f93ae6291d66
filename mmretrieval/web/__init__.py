"""The web: one search form, one desk that answers it, and the page, the REST API and the MCP tools over it."""
