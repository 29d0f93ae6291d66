"""Multimodal language models, one back end per file."""
