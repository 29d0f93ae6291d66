"""A filter cut into words, names, numbers, texts and signs, each with the place where it begins."""

from __future__ import annotations

import re
from typing import NamedTuple

from mmretrieval.errors import FilterError

MAX_LENGTH = 10_000  # characters of a filter; nobody types that much, and a program that does should give ids

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<name>[^\W\d][\w-]*)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<sign><=|>=|<>|!=|==|[=<>(),.])""",
    re.VERBOSE | re.ASCII,
)
_NAME = re.compile(r"[^\W\d][\w-]*")  # with the letters of all alphabets


class Token(NamedTuple):
    """`kind` is number, name, text, quoted, sign or end; `text` is as written, `start` counts from 0."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """A bare word in small letters; empty for anything else."""
        return self.text.lower() if self.kind == "name" else ""

    @property
    def content(self) -> str:
        """What stands between quotes."""
        return self.text[1:-1].replace(self.text[0] * 2, self.text[0])


def tokens(text: str) -> list[Token]:
    """All tokens, with one of kind "end" behind them; raises FilterError where none begins."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter has {len(text)} characters, the limit is {MAX_LENGTH}", MAX_LENGTH)
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup == "name":
            match = _NAME.match(text, at)
            kind = "name"
        else:
            kind = match.lastgroup or ""
        if match is None:
            raise _unreadable(text, at)
        if kind != "space":
            found.append(Token(kind, match.group(), at))
        at = match.end()
    return [*found, Token("end", "", len(text))]


def _unreadable(text: str, at: int) -> FilterError:
    if text[at] in "'\"":
        return FilterError(
            f"the filter opens a quote at character {at + 1} and never closes it; a quote inside is doubled, as in "
            "'it''s'",
            at,
        )
    run = re.match(r"\S{1,20}", text[at:])
    shown = run.group() if run else text[at]
    return FilterError(
        f"the filter is not understood at character {at + 1}, {shown!r}: text stands in single quotes, as in 'thai', "
        'and an unusual field name in double ones, as in "focal length"',
        at,
    )
