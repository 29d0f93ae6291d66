"""The settings of a search in a few words, to tell two of them apart."""

from __future__ import annotations

from mmretrieval.web.form import SearchForm

PLAIN = "plain search"


def settings_words(form: SearchForm) -> str:
    """What differs from a plain search; what is sought is no part of it."""
    parts = [f"{name} {weight:g}" for name, weight in form.weights.items()]
    if form.compose != "sum":
        parts.append(form.compose)
    if form.fuse is not None:
        parts.append(form.fuse.spec)
    if form.hybrid is not None:
        parts.append(f"words joined by {form.hybrid}")
    for verb, specs in (("rewritten by", form.rewrite), ("refined by", form.refine), ("reranked by", form.rerank)):
        if specs:
            parts.append(f"{verb} {' and '.join(specs)}")
    for name, value in (("cutoff", form.cutoff), ("near-duplicates folded", form.collapse)):
        if value is not False:
            parts.append(name if value is True else f"{name} at {value:g}")
    return ", ".join(parts) or PLAIN
