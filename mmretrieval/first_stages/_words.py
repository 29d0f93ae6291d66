"""What a query says in words, for searches that know nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

from mmretrieval.types import Part, Query, Ranking, Step

_END = re.compile(r"(?<=[.!?;。！？])\s+|\n+")


def words_of(query: Query) -> str:
    """The text of a query and of its parts that lead towards something, empty when there is none.

    Its target counts as words, too, and alone when it is all of the query. Pictures, examples and what a query leads
    away from say nothing here: a search for words cannot subtract.
    """
    texts = []
    if query.target_share < 1:
        texts += [query.text if query.weights.get("text", 1.0) > 0 else ""]
        texts += [part.text for part in query.parts if part.weight > 0]
    if query.target_share > 0:
        texts.append(query.target)
    return "\n".join(text for text in texts if text.strip())


def is_changed(query: Query) -> bool:
    """Whether its words are a change to a picture; one with a weight of 0 or less leaves them what they are."""
    is_shown = query.has_image and query.weights.get("image", 1.0) > 0
    return is_shown or any(_is_picture(part) and part.weight > 0 for part in query.parts)


def without_change(query: Query) -> Query:
    """Of a changed query what captions can be asked for by words that describe all that is sought: its target."""
    return replace(query, text="", parts=tuple(part for part in query.parts if _is_picture(part)))


def _is_picture(part: Part) -> bool:
    return not part.text.strip()


def sentences(text: str) -> list[str]:
    """The sentences of a text, without blank ones."""
    return [each for each in (piece.strip() for piece in _END.split(text)) if each]


def no_words(query: Query, name: str) -> Ranking:
    """The empty answer of a search for words to a query that has none."""
    step = Step(name, status="partial", note=NO_WORDS)
    return Ranking(query, steps=(step,), warnings=(f"query '{query.id}': '{name}' searches by words, and {NO_WORDS}",))


NO_WORDS = "the query has none that lead towards something"
A_CHANGE = "beside a picture its words are a change to it, and by ranks the captions that have them would outvote it"
