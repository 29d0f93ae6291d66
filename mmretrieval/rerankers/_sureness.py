"""How much say a model gets, by how far apart it holds the candidates.

Standardising makes noise as loud as knowledge: a model whose log-odds for twenty candidates lie within a tenth of a
nat has seen no difference between them, and would still turn the list round. So its share shrinks as long as its
numbers spread by less than a nat, which is what a model has to tell apart to pass for one that sees at all. With a
share of 1 nothing is shrunk: that is the paper's form.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import pstdev

NAT = 1.0


def sure_share(alpha: float, values: Sequence[float | None], unit: float = NAT) -> float:
    """The share `alpha`, less where the values (log-odds, log-probabilities) deviate by less than a `unit`."""
    known = [value for value in values if value is not None]
    if alpha == 1 or len(known) < 2:
        return alpha
    return alpha * min(1.0, pstdev(known) / unit)
