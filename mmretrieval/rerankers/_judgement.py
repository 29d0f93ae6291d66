"""What a model says of one candidate alone, as a number, as one line, and in detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mmretrieval.asks import Reply
from mmretrieval.rerankers._odds import expected, log_odds
from mmretrieval.rerankers._views import View

MIDDLE_GRADE = 4.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to the whole question, then to each part: log-odds of yes, or grades from 0 to 9.

    None where the model does not say.
    """

    whole: float | None
    parts: tuple[tuple[View, float | None], ...] = ()
    graded: bool = False

    @property
    def value(self) -> float | None:
        """The mean of all that is known, larger fits better; what should not be seen counts the other way round."""
        said = [self.whole, *(self._towards(view, number) for view, number in self.parts)]
        known = [number for number in said if number is not None]
        return fmean(known) if known else None

    @property
    def fits(self) -> bool:
        return self.value is not None and self.value > self._middle

    @property
    def why(self) -> str:
        """One line for the user."""
        if self.value is None:
            return "the model did not say whether it fits"
        told = f"grade {self.value:.1f} of 9" if self.graded else f"log-odds of yes {self.value:+.2f}"
        met, missed = self._named(met=True), self._named(met=False)
        pieces = [
            f"shows {', '.join(met)}" if met else "",
            f"lacks {', '.join(missed)}" if missed else "",
            "" if self.parts else "judged to fit" if self.fits else "judged not to fit",
        ]
        return f"{'; '.join(piece for piece in pieces if piece)} ({told})"

    @property
    def details(self) -> Mapping[str, Any]:
        if self.value is None:
            return {}
        number = {"grade" if self.graded else "log_odds": round(self.value, 4)}
        told: dict[str, Any] = {"verdict": "yes" if self.fits else "no", **number}
        if self.parts:
            told |= {"matched": self._named(met=True), "missing": self._named(met=False)}
        return told

    @property
    def _middle(self) -> float:
        return MIDDLE_GRADE if self.graded else 0.0

    def _towards(self, view: View, number: float | None) -> float | None:
        return number if number is None or view.wanted else 2 * self._middle - number

    def _named(self, *, met: bool) -> list[str]:
        """The parts that are as they should be, or are not."""
        said = [(view, self._towards(view, number)) for view, number in self.parts]
        return [str(view) for view, number in said if number is not None and (number > self._middle) == met]


def best_of(replies: Sequence[Reply], *, graded: bool, delta: float) -> float | None:
    """The number for the first of them, a whole picture, unless one of its tiles is better by more than `delta`."""
    said = [expected(reply) if graded else log_odds(reply) for reply in replies]
    whole = [number for number in said[:1] if number is not None]
    return max([*whole, *(number - delta for number in said[1:] if number is not None)], default=None)
