"""The line to type for the same search, as a shell takes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mmretrieval.web.form import SearchForm

UPLOADED = "YOUR_PICTURE"


def command_line(form: SearchForm, index: str, mllm: str | None = None) -> str:
    """`mmretrieval search …` with the options that say what the form says; an upload stands there as YOUR_PICTURE.

    There is no option for what to leave out at the start, so it asks for all hits up to the last of the form.
    """
    options = [word for pair in _options(form) for word in pair]
    if form.asks and mllm:
        options += ["--mllm", mllm]
    words = ["--", form.text] if form.text.strip() else []
    return shlex.join(["mmretrieval", "search", "--index", index, *options, *words])


def _options(form: SearchForm) -> Iterator[tuple[str, ...]]:
    if form.image is not None:
        yield "--image", UPLOADED
    if form.image_id is not None:
        weight = "@1" if "@" in form.image_id else ""  # so that an id that ends in @ and a number is read whole
        yield "--image", f"id:{form.image_id}{weight}"
    if form.used_weights:
        yield "--weight", ",".join(f"{name}={weight:.9g}" for name, weight in form.used_weights.items())
    for option, values in (("--minus", form.minus), ("--like", form.like), ("--unlike", form.unlike)):
        yield from ((option, value) for value in values)
    if form.used_compose != "sum":
        yield "--compose", form.used_compose
    if form.filter.strip():
        yield "--filter", form.filter.strip()
    yield from _stages(form)
    yield "--top-k", str(form.offset + form.top_k)


def _stages(form: SearchForm) -> Iterator[tuple[str, ...]]:
    settings = form.settings
    for option, value in (("--hybrid", settings.hybrid), ("--fuse", settings.fuse)):
        if value is not None:
            yield option, value
    named = {"--rewrite": form.rewrite, "--refine": form.refine, "--rerank": form.rerank}
    for option, specs in named.items():
        yield from ((option, spec) for spec in specs)
    if form.asks:
        for option, most in (("--max-calls", form.max_calls), ("--max-seconds", form.max_seconds)):
            if most is not None:
                yield option, f"{most:g}"
    for option, given, number in (("--cutoff", form.cutoff, "--strictness"), ("--collapse", form.collapse, "--alike")):
        if given is not False:
            yield (option,) if given is True else (option, number, f"{given:.9g}")
