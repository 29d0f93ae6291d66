"""Things of a scene by name: where a text names them, where they lie in the picture's map, and questions about one.

A language model this small learns to say what lies at a place long before it finds the place of a named thing. So its
training shows it where each named thing lies (`vlm_hints`), and asks of single things.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from mmretrieval import prompts
from mmretrieval.demo.scenes import FoodPlate, Scene
from mmretrieval.demo.vocabulary import (
    ANIMAL_COLOURS,
    BEHAVIOURS,
    COUNTS,
    INGREDIENTS,
    NUMERALS,
    PLACES,
    POSITIONS,
    SIDES,
    SPECIES,
)

# the tokens of a 3 x 3 map that show a place of the plate, or a side of a landscape
_ON_PLATE: Mapping[str, tuple[int, ...]] = {"middle": (4,), "left": (3,), "right": (5,), "top": (1,), "bottom": (7,)}
_IN_LANDSCAPE: Mapping[str, tuple[int, ...]] = {"left": (0, 3, 6), "right": (2, 5, 8)}
MAP = 9  # tokens
EVERYWHERE = tuple(range(MAP))

PRESENT = 0.7  # of the questions are about a thing that is there, at least
LEAST_MISSING = 3  # names in an inventory of what is not there


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind in a scene: `where` are the tokens of the map that show it, `said` its attributes by family."""

    kind: str
    where: tuple[int, ...]
    said: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """All that can be said of it, in plain words."""
        words = [self.said["count"]]
        if "colour" in self.said:
            words += [self.said["colour"], BEHAVIOURS[self.said["behaviour"]][0]]
        return " ".join([*words, PLACES[self.said["place"]][0]])


def things(scene: Scene) -> dict[str, Thing]:
    """What is to be read at the places of a scene, by kind."""
    if isinstance(scene, FoodPlate):
        return {
            s.kind: Thing(s.kind, on_map(s.position, scene), {"count": s.count, "place": s.position})
            for s in scene.servings
        }
    return {
        g.species: Thing(
            g.species,
            on_map(g.side, scene),
            {"count": g.count, "place": g.side, "colour": g.colour, "behaviour": g.behaviour},
        )
        for g in scene.groups
    }


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing that a text names: where the name begins and ends, in characters, and where a count does that stands
    directly before it; `where` are the tokens of the map that show it, none for a thing that is not in the scene.
    """

    kind: str
    start: int
    end: int
    count: tuple[int, int] | None
    where: tuple[int, ...]


def named(text: str, scene: Scene) -> list[Mention]:
    """The ingredients or animals that a text names, in its order."""
    pattern, kinds = _DISH if isinstance(scene, FoodPlate) else _FAUNA
    there = things(scene)
    found = []
    for match in pattern.finditer(text.lower()):
        kind = kinds[match.group()]
        count = _COUNT.search(text[: match.start()].lower())
        where = there[kind].where if kind in there else ()
        found.append(Mention(kind, match.start(), match.end(), count.span(1) if count else None, where))
    return found


def on_map(place: str, scene: Scene) -> tuple[int, ...]:
    """The tokens of the map at a place of the plate, or on a side of a landscape."""
    return _ON_PLATE[place] if isinstance(scene, FoodPlate) else _IN_LANDSCAPE[place]


def inventory(scene: Scene, rng: Random) -> list[tuple[str, str]]:
    """Names in a random order, at least as many missing as there are, each with all that can be said of it."""
    there, forms = things(scene), _forms(scene)
    missing = [kind for kind in forms if kind not in there]
    kinds = [*there, *rng.sample(missing, max(LEAST_MISSING, len(there)))]
    rng.shuffle(kinds)
    return [(rng.choice(rng.choice(forms[kind])), there[kind].sentence if kind in there else "none") for kind in kinds]


def single(scene: Scene, rng: Random) -> tuple[str, str]:
    """A yes or no question about one attribute of one thing, or about its presence, and the answer."""
    there, forms = things(scene), _forms(scene)
    kind = rng.choice(list(there if rng.random() < PRESENT else forms))
    one, more = rng.choice(forms[kind])
    if kind not in there:
        return _asked(rng.choice((one, more)), holds=False)
    said = there[kind].said
    family = rng.choice(["kind", *said])
    if family == "kind":
        return _asked(rng.choice((one, more)), holds=True)
    holds = rng.random() < 0.5
    value = said[family] if holds else rng.choice([v for v in _values(family, scene) if v != said[family]])
    noun = one if (value if family == "count" else said["count"]) == "one" else more
    return _asked(_phrase(family, value, noun, rng), holds=holds)


def _asked(words: str, *, holds: bool) -> tuple[str, str]:
    return prompts.FITS.format(words), prompts.YES_NO[0 if holds else 1]


def _values(family: str, scene: Scene) -> Sequence[str]:
    if family == "place":
        return POSITIONS if isinstance(scene, FoodPlate) else SIDES
    return {"count": COUNTS, "colour": tuple(ANIMAL_COLOURS), "behaviour": tuple(BEHAVIOURS)}[family]


def _phrase(family: str, value: str, noun: str, rng: Random) -> str:
    if family == "count":
        return f"{rng.choice(NUMERALS[value])} {noun}"
    if family == "colour":
        return f"{rng.choice(ANIMAL_COLOURS[value])} {noun}"
    return f"{noun} {rng.choice(PLACES[value] if family == 'place' else BEHAVIOURS[value])}"


def _forms(scene: Scene) -> Mapping[str, tuple[tuple[str, str], ...]]:
    return INGREDIENTS if isinstance(scene, FoodPlate) else SPECIES


def _names(forms: Mapping[str, tuple[tuple[str, str], ...]]) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern that takes the longest name that fits, and the kind of every name; bare kinds are names, too."""
    names = {name.lower(): kind for kind, pairs in forms.items() for pair in pairs for name in pair}
    kinds = {kind: kind for kind in forms} | names
    longest_first = sorted(kinds, key=len, reverse=True)
    return re.compile(r"\b(?:" + "|".join(re.escape(name) for name in longest_first) + r")\b"), kinds


_DISH, _FAUNA = _names(INGREDIENTS), _names(SPECIES)
_COUNT = re.compile("(" + "|".join(word for words in NUMERALS.values() for word in words) + ") $")
