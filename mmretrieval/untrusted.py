"""Words that somebody else wrote, made fit to stand in a prompt, in the catalogue, or in a terminal.

A caption may come from a model, a model's prompt from a caption: what looks like a model's own marks of a conversation
is taken out, and so are control characters, on the way in and on the way out.
"""

from __future__ import annotations

import re
import unicodedata

MOST = 2_000  # characters; longer than any caption that somebody would read

# <|im_start|>, <｜begin▁of▁sentence｜>, </s>, <image>, <start_of_turn>, [INST], <<SYS>>; not "a < b and b > c"
_MARKS = re.compile(r"<<?[/|｜]?[\w▁][\w▁:-]{0,60}[/|｜]?>>?|\[/?INST\]|\[/?IMG(?:_\w+)?\]", re.IGNORECASE)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, format, surrogates, private, unassigned
_JOINERS = frozenset("\u200c\u200d")  # Persian, Indic scripts and emoji cannot be written without them


def clean(text: str, most: int = MOST) -> str:
    """One line of at most `most` characters, without marks of a conversation, control or invisible characters.

    Cleaning twice changes nothing more. What is longer is cut at a blank where there is one.
    """
    shown = unicodedata.normalize("NFC", "".join(_shown(sign) for sign in text))
    line = " ".join(_MARKS.sub(" ", shown).split())  # a blank, so that the halves of another mark never meet
    return line if len(line) <= most else _cut(line, most)


def _shown(sign: str) -> str:
    if sign in _JOINERS or unicodedata.category(sign) not in _UNSEEN:
        return sign
    return " " if sign.isspace() or unicodedata.category(sign) == "Cc" else ""


def _cut(line: str, most: int) -> str:
    head = line[:most]
    whole, blank, _ = head.rpartition(" ")
    return (whole if blank and not line[most].isspace() else head).rstrip()
