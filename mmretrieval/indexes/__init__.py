"""Nearest rows of a channel, one index per file."""
