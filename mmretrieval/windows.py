"""Which candidates a model is shown together, and in what turn: schedules that know nothing of models.

Candidates are places 0 … n-1 in the order they came in. What the model said of one look is told to the schedule, or
written into the caller's own list; a schedule asks for nothing that it does not need.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping, Sequence
from statistics import fmean

from mmretrieval.errors import UsageError

_SCALE = (0.5, 2.0)  # how far one group's grades may be stretched to agree with the others'


def sliding(count: int, window: int, stride: int) -> list[tuple[int, int]]:
    """Spans of places, the last first, each reaching `stride` further up than the one before; the first place is last.

    The caller puts each span into order before it looks at the next. One pass brings the best `window - stride`
    things to the top if every span is ordered rightly. Raises UsageError unless 1 <= stride < window, for otherwise
    nothing could rise from one span to the next. None for less than two things, else 1 + ceil((n - window) / stride).
    """
    if not 1 <= stride < window:
        raise UsageError(f"the window is {window} and the stride {stride}: a stride goes from 1 to the window less one")
    if count < 2:
        return []
    spans = [(max(0, count - window), count)]
    while spans[-1][0] > 0:
        start = max(0, spans[-1][0] - stride)
        spans.append((start, start + window))
    return spans


def top_by_heap(count: int, top: int, children: int) -> Generator[list[int], int, list[int]]:
    """The best `top` things by sets of at most `children` + 1: yields the places to choose from, is sent the best.

    Returns all places: the best found, best first, then the others in their old order. A heap whose nodes have
    `children` children, as in Rank-R1. A set stands in the old order, and anything sent that is not of it counts as its
    first, so that a model that never decides leaves all as it was. Raises UsageError for less than two in a set.
    """
    if children < 1:
        raise UsageError(f"a set of {children + 1} leaves nothing to choose from: give at least 2")
    heap = list(range(count))
    for node in range((count - 2) // children, -1, -1) if count > 1 else ():
        yield from _sink(heap, node, count, children)
    best: list[int] = []
    for end in range(count, max(count - top, 0), -1):
        best.append(heap[0])
        heap[0] = heap[end - 1]
        if len(best) < min(top, count):
            yield from _sink(heap, 0, end - 1, children)
    return [*best, *(place for place in range(count) if place not in set(best))]


def _sink(heap: list[int], node: int, end: int, children: int) -> Generator[list[int], int, None]:
    """Let what stands at `node` of `heap[:end]` sink until nothing below it is better."""
    while (first := children * node + 1) < end:
        below = range(first, min(first + children, end))
        members = {heap[member]: member for member in (node, *below)}
        best = yield sorted(members)
        chosen = members.get(best, members[min(members)])
        if chosen == node:
            return
        heap[node], heap[chosen] = heap[chosen], heap[node]
        node = chosen


def grouped(count: int, size: int, anchors: int = 2, seed: int = 0) -> list[list[int]]:
    """Groups of at most `size` places that cover all; every group holds the same `anchors`, best-placed and median.

    The others are dealt out at random, so that no group is all good or all bad; within a group they stand in their
    old order. All fit into one group: one group. Else ceil((n - anchors) / (size - anchors)). Raises UsageError when
    the anchors leave no room.
    """
    if not 0 <= anchors <= 2 or size <= anchors:
        raise UsageError(f"groups of {size} with {anchors} anchors: give 0, 1 or 2 anchors and more room than that")
    if count <= size:
        return [list(range(count))] if count else []
    shared = [0, count // 2][:anchors]
    others = [place for place in range(count) if place not in shared]
    random.Random(seed).shuffle(others)
    number = -(-len(others) // (size - anchors))
    return [sorted([*shared, *others[start::number]]) for start in range(number)]


def aligned(grades: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """One grade a place out of the grades of groups that share some places: those are the anchors.

    Each group is shifted and stretched, at most twice and at least half, so that its anchors come as near as can be to
    their mean over the groups; where its anchors have one grade it is only shifted, and without any it stays. A place
    of several groups gets the mean of its grades. Places that no group graded are missing.
    """
    told: dict[int, list[float]] = {}
    for group in grades:
        for place, grade in group.items():
            told.setdefault(place, []).append(grade)
    means = {place: fmean(values) for place, values in told.items() if len(values) > 1}
    fitted: dict[int, list[float]] = {}
    for group in grades:
        scale, shift = _fit([(group[place], means[place]) for place in group if place in means])
        for place, grade in group.items():
            fitted.setdefault(place, []).append(scale * grade + shift)
    return {place: fmean(values) for place, values in fitted.items()}


def _fit(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The scale and shift that bring the first of each pair nearest to the second, in least squares."""
    if not pairs:
        return 1.0, 0.0
    x, y = fmean([pair[0] for pair in pairs]), fmean([pair[1] for pair in pairs])
    spread = sum((one - x) ** 2 for one, _ in pairs)
    slope = sum((one - x) * (other - y) for one, other in pairs) / spread if spread else 1.0
    scale = min(max(slope, _SCALE[0]), _SCALE[1])
    return scale, y - scale * x
