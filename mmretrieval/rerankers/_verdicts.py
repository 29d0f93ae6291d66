"""What is said of each candidate by the parts of the query: what it shows, what it lacks, and a word for the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmretrieval.answers import answer_of, json_values
from mmretrieval.list_prompts import VERDICTS
from mmretrieval.untrusted import clean

_LONGEST = 80  # characters of one requirement; a model that rambles shall not fill the screen
_MOST = 12  # requirements


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is one of `VERDICTS`; what of the query the picture shows and lacks, in words."""

    word: str
    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """One line for the user."""
        told = [f"shows {', '.join(self.matched)}" if self.matched else ""]
        told += [f"lacks {', '.join(self.missing)}" if self.missing else ""]
        said = "; ".join(each for each in told if each)
        return f"{self.word}: {said}" if said else self.word

    @property
    def details(self) -> Mapping[str, Any]:
        return {"verdict": self.word, "matched": list(self.matched), "missing": list(self.missing)}

    @property
    def grade(self) -> float:
        """3 for the best word, 0 for the worst."""
        return float(len(VERDICTS) - 1 - VERDICTS.index(self.word))


def verdicts(text: str, count: int) -> dict[int, Verdict]:
    """The verdicts in an answer to `list_prompts.reasoned_list`, by place from 0; also of one that breaks off.

    Objects that judge no picture of the `count`, or with no word of `VERDICTS`, are left out; the first on a picture
    counts.
    """
    found: dict[int, Verdict] = {}
    for value, _ in list(json_values(answer_of(text)))[::-1]:
        for told in _judgements(value):
            place, word = _place(told.get("picture")), str(told.get("verdict", "")).strip().lower()
            if place is not None and place < count and word in VERDICTS and place not in found:
                found[place] = Verdict(word, _names(told.get("met")), _names(told.get("missing")))
    return found


def by_share(matched: Sequence[str], missing: Sequence[str]) -> Verdict:
    """The verdict that the share of what is met deserves: all, two thirds, a third, less."""
    share = len(matched) / max(1, len(matched) + len(missing))
    word = VERDICTS[0] if not missing else VERDICTS[1] if share >= 2 / 3 else VERDICTS[2 if share >= 1 / 3 else 3]
    return Verdict(word, tuple(matched), tuple(missing))


def _judgements(value: Any) -> Iterator[Mapping[str, Any]]:
    """The value, its "evaluations", or its items, whichever are objects that name a picture."""
    listed = value.get("evaluations", [value]) if isinstance(value, dict) else value
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and "picture" in each:
            yield each


def _place(number: Any) -> int | None:
    """0 for 1, "1" or "picture 1"; None for what is no such label."""
    digits = str(number).lower().removeprefix("picture").strip() if not isinstance(number, bool) else ""
    return int(digits) - 1 if digits.isascii() and digits.isdigit() and 0 < len(digits) < 5 and int(digits) else None


def _names(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    names = (clean(name, _LONGEST) for name in listed if isinstance(name, str))
    return tuple(dict.fromkeys(name for name in names if name))[:_MOST]
