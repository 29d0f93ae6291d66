"""Named pipelines in TOML files, one a file; `preset` reads them and opens a searcher by one."""
