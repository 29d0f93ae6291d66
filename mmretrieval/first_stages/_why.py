"""One line for the user on why a picture was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmretrieval.first_stages._query_vectors import Sought


def of_sum(sought: Sought, shares: Mapping[str, float]) -> str:
    """The cosine to the one thing that was given, or the shares that add up to the score."""
    if len(sought.items) == 1:
        [item] = sought.items
        share = shares[item.key]
        return f"cosine {share:.2f} to {item.said}" if item.weight > 0 else f"cosine {-share:.2f} against {item.said}"
    told = " ".join(
        f"{'+' if shares[item.key] >= 0 else '-'} {abs(shares[item.key]):.2f} from {item.said}"
        if item.weight > 0
        else f"{'+' if shares[item.key] >= 0 else '-'} {abs(shares[item.key]):.2f} for being "
        f"{'unlike' if shares[item.key] >= 0 else 'like'} {item.said}"
        for item in sought.items
    )
    return told.removeprefix("+ ")


def of_product(sought: Sought, met: Sequence[float], penalty: float) -> str:
    """How far each part is met, and what being lopsided costs."""
    parts = [
        f"{item.said} {value:.2f}" if item.weight > 0 else f"unlike {item.said} {value:.2f}"
        for item, value in zip(sought.items, met, strict=True)
    ]
    return f"{' × '.join(parts)}, less {-penalty:.2f}"
