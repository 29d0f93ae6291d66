"""Small pieces of HTML; every word that is put into them is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mmretrieval.web.page.drawings import DRAWINGS


def icon(name: str) -> str:
    """A line drawing in the colour of the text around it, which a screen reader passes over."""
    return f'<svg class="mm-icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{DRAWINGS[name]}</svg>'


def chips(words: Iterable[str], kind: str, label: str) -> str:
    """A list of short words; nothing where there are none."""
    told = "".join(f"<li>{escape(word)}</li>" for word in words)
    return f'<ul class="mm-chips mm-{kind}" aria-label="{escape(label)}">{told}</ul>' if told else ""


def unseen(words: str) -> str:
    """Words for a screen reader alone."""
    return f'<span class="mm-unseen">{escape(words)}</span>'


def shortened(text: str, most: int) -> str:
    """The text in one line, with an ellipsis where it is cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def as_sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".") if text else ""
