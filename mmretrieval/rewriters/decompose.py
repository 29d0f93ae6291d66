"""A query taken apart by a language model: sub-queries that are searched beside it, and what must not be there.

What the model says is believed only as far as it can be checked: a sub-query is a short text, says something that the
query says, is not the query itself, and comes once. "no fork" is not sought but avoided. What is left becomes the
query's plan, whose sub-queries the first stage searches besides (see `pooling`), and parts that lead away. When nothing
is left, the query stays alone, as it was given.

It needs a model that writes JSON on demand: the shipped demo model does not, and leaves every query as it was.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from mmretrieval import prompts
from mmretrieval.answers import answer_of, json_values
from mmretrieval.asks import Ask, Failed, Generate, Reply, Text
from mmretrieval.errors import UsageError
from mmretrieval.stages import Rewriter, Rewritten
from mmretrieval.types import MINUS_WEIGHT, Part, Query, QueryPlan
from mmretrieval.untrusted import clean

MOST_WORDS = 12  # of a sub-query
_FEWEST_WORDS = 3  # of a query that can have parts
_NO = re.compile(r"^(?:no|not|without|never)\s+(?:an?\s+|any\s+|the\s+)?", re.IGNORECASE)
_STEM = 4  # letters by which words are compared, so that "foxes" is said by "fox"


class Decompose(Rewriter):
    """A language model takes a query apart into sub-queries, which are searched beside it, and what to avoid.

    One call without a picture for each query of three words or more; queries without words stay as they are.
    """

    paper = "Question decomposition for RAG, arXiv 2507.00355"
    needs = frozenset({Generate})

    def __init__(self, *, most: int = 5, minus: float = MINUS_WEIGHT) -> None:
        """`most` sub-queries are kept, the first ones; `minus` is how far words to avoid lead away, 0 for not at all.

        Raises UsageError for fewer than one, and for a negative `minus`.
        """
        if most < 1 or not 0 <= minus < 1e6:
            raise UsageError(f"decompose takes most of 1 or more and minus of 0 or more: it was given {most}, {minus}")
        self.most, self.minus = most, minus

    def rewrite(self, query: Query) -> Generator[list[Ask], list[Reply], Rewritten]:
        """The query with its plan, or as it was when there is none."""
        if query.text.isascii() and len(query.text.split()) < _FEWEST_WORDS:
            return Rewritten(query, note="left as it was: too few words to take apart")
        [reply] = yield [prompts.parts(query.text, self.most)]
        if isinstance(reply, Failed):
            return Rewritten(query, note="searched alone")  # the pipeline tells of the failed ask
        wanted, avoided, strange = _read(reply.text if isinstance(reply, Text) else "", query.text)
        strange += max(0, len(wanted) - self.most)
        plan = QueryPlan(tuple(wanted[: self.most]), tuple(avoided))
        if not plan.wanted and not plan.avoided:
            return Rewritten(query, {"failed": 1}, "no parts could be read from the answer; searched alone")
        leading_away = tuple(Part(text=text, weight=-self.minus) for text in avoided) if self.minus else ()
        note = f"parts: {'; '.join(plan.wanted) or 'none'}" + (f"; avoided: {'; '.join(avoided)}" if avoided else "")
        parsed = {"repaired" if strange else "ok": 1}
        return Rewritten(replace(query, plan=plan, parts=(*query.parts, *leading_away)), parsed, note)


def _read(text: str, query: str) -> tuple[list[str], list[str], int]:
    """What is wanted and what avoided, each once, and how many things were said that cannot be used."""
    said = next((told for value, _ in json_values(answer_of(text)) if (told := _told(value)) is not None), ([], []))
    wanted: dict[str, str] = {}
    avoided: dict[str, str] = {}
    strange = 0
    for things, is_wanted in ((said[0], True), (said[1], False)):
        for thing in things:
            words = clean(thing, 1_000).strip(" .,;\"'") if isinstance(thing, str) else ""
            bare = _NO.sub("", words)
            target = wanted if is_wanted and bare == words else avoided
            key = bare.casefold()
            if key in wanted or key in avoided or not _is_said(bare, query):
                strange += key != query.strip().casefold()
            else:
                target[key] = bare
    return list(wanted.values()), list(avoided.values()), strange


def _told(value: Any) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """The two lists of an answer; a list alone is what is wanted."""
    if isinstance(value, list):
        return value, ()
    if not isinstance(value, dict):
        return None
    held = [value.get(name) for name in ("wanted", "avoided")]
    wanted, avoided = (each if isinstance(each, list) else [] for each in held)
    return (wanted, avoided) if wanted or avoided else None


def _is_said(words: str, query: str) -> bool:
    """Whether it is short, is not the whole query, and has a word of the query."""
    whole = query.strip().casefold()
    is_short = 0 < len(words.split()) <= MOST_WORDS
    return is_short and words.casefold() != whole and any(stem in whole for stem in _stems(words))


def _stems(words: str) -> Iterator[str]:
    for word in re.findall(r"\w+", words.casefold()):
        if len(word) > 2 or not word.isascii():
            yield word[:_STEM]
