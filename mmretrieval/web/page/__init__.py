"""The page: one file a panel, put together in `page`."""
