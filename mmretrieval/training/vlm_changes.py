"""The sentence after a change, asked for and told, with hints how the words of the change find their place.

A sentence is told place by place. So the words for what comes must know where: what comes instead of another thing is
tied to that thing, which looks its own place up; what is added or moved is tied to the words for its place. A model
that reads from left to right can only tie the later words to the earlier, so the later of the two carries both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mmretrieval import prompts
from mmretrieval.demo.scenes import Scene
from mmretrieval.demo.vocabulary import PLACES
from mmretrieval.training import vlm_words
from mmretrieval.training.vlm_dialogue import Dialogue, Spoken
from mmretrieval.training.vlm_hints import NOWHERE, Hint
from mmretrieval.training.vlm_things import Mention, named, on_map, things


@dataclass(frozen=True, slots=True)
class Carrier:
    """The words at `at`, the end of a name or a place, know of `kind`, which ends at `of` or is tied to what does.

    `where` are the tokens of the map that it has to find; None where its own name says them.
    """

    kind: str
    at: int
    of: int
    where: tuple[int, ...] | None


def ask_changed(dialogue: Dialogue, before: Scene, after: Scene, words: str, weight: float) -> None:
    """`words` say what makes `after` of the picture's scene; changed words of the answer count `weight` times."""
    text, answer = prompts.TARGET.format(words), vlm_words.sentence(after)
    asked = dialogue.words_about(text, before)
    carried = {one.kind: one for one in carriers(text, before, after)}
    for one in carried.values():
        dialogue.hints.append(Hint("tie", asked.last(one.at), (asked.last(one.of),)))
        if one.where is not None:
            dialogue.look(asked.last(one.at), one.where, ["find"])
    told = dialogue.changed_answer(answer, vlm_words.sentence(before), weight)
    said = {mention.kind: mention for mention in named(text, before)}
    sources: dict[int, tuple[int, ...]] = {}
    for mention in named(answer, after):
        if mention.kind in carried:
            tokens = _told(dialogue, told, mention, said[mention.kind])
            sources |= dict.fromkeys(tokens, (asked.last(carried[mention.kind].at),))
    _copied(dialogue, asked, told, sources)


def carriers(text: str, before: Scene, after: Scene) -> Iterator[Carrier]:
    """What the words of a change bring or move, and which of them know both what and where."""
    was, now = things(before), things(after)
    mentions = {mention.kind: mention for mention in named(text, before)}
    gone = [mentions[kind] for kind in was if kind not in now and kind in mentions]
    for kind, thing in now.items():
        if kind not in mentions or (kind in was and was[kind].where == thing.where):
            continue
        name = mentions[kind]
        if kind not in was and gone:
            first, last = sorted((gone[0].end, name.end))
            yield Carrier(kind, last, first, gone[0].where if last == name.end else None)
            continue
        for place in _PLACE.finditer(text.lower(), name.end):
            if _PLACES[place.group()] == thing.said["place"]:
                yield Carrier(kind, place.end(), name.end, on_map(thing.said["place"], before))
                break


def _told(dialogue: Dialogue, told: Spoken, mention: Mention, said: Mention) -> Iterator[int]:
    """The tokens of an answer that tell a thing, and its count where that is new and the change says it."""
    yield from told.within(mention.start, mention.end)
    if mention.count and said.count:
        yield from (token for token in told.within(*mention.count) if dialogue.weights[token] > 1)


def _copied(dialogue: Dialogue, asked: Spoken, told: Spoken, sources: dict[int, tuple[int, ...]]) -> None:
    """Hints for every token of the answer: its source, the same token in the change, or the start."""
    words = range(asked.start, asked.start + len(asked.ends))
    for token in range(told.start, told.start + len(told.ends)):
        is_new, same = dialogue.weights[token] > 1, [at for at in words if dialogue.ids[at] == dialogue.ids[token]]
        to = sources.get(token, tuple(same) if is_new else NOWHERE)
        if to:
            dialogue.hints.append(Hint("copy", token - 1, to))


_PLACES = {words: place for place, forms in PLACES.items() for words in forms}
_PLACE = re.compile(r"\b(?:" + "|".join(sorted(_PLACES, key=len, reverse=True)) + r")\b")
