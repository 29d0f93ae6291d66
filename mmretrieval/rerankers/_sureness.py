"""How much say a model gets, by how far apart it holds the candidates.

Standardising makes noise as loud as knowledge: a model whose log-odds for twenty candidates lie within a tenth of a
nat has seen no difference between them, and would still turn the list round. So its share shrinks as long as its
numbers spread by less than a nat, which is what a model has to tell apart to pass for one that sees at all. For grades
from 0 to 10 it is one grade, the least difference that a model writes. An order has no such numbers: there the share
shrinks by the pairs that turn round when the candidates are shown in another order. A model that goes by places alone
turns round more than half of them, and gets none. With a share of 1 nothing is shrunk: that is the paper's form.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev

UNIT = 1.0  # a nat, or a grade
TURNED = "another order of showing turned the answer round: the order before it was kept"


def sure_share(alpha: float, values: Sequence[float | None]) -> float:
    """The share `alpha`, less where the values (log-odds, log-probabilities, grades) deviate by less than a UNIT."""
    return sure_share_of_looks(alpha, [[value for value in values if value is not None]])


def sure_share_of_looks(alpha: float, looks: Sequence[Sequence[float]]) -> float:
    """The same for values that compare only within a look at a few candidates: by their mean deviation."""
    spreads = [pstdev(values) for values in looks if len(values) > 1]
    if alpha == 1 or not spreads:
        return alpha
    return alpha * min(1.0, fmean(spreads) / UNIT)


def steady_share(alpha: float, flips: float | None) -> float:
    """The share `alpha`, less the more pairs (0 to 1) turned round in another order of showing; none from a half on.

    None stands for nothing to compare, as with a single order or a lost reply: it shows nothing of this, and shrinks
    nothing.
    """
    if alpha == 1 or flips is None:
        return alpha
    return alpha * max(0.0, 1.0 - 2.0 * flips)


def noted(share: float, alpha: float, note: str = "") -> str:
    """The note, and that the model's answer counts nothing, where its share fell from `alpha` to nothing."""
    return "; ".join(part for part in (note, TURNED if share == 0 < alpha else "") if part)
