"""Plots of a report as SVG, the same bytes for the same numbers: a measure by category, with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from mmretrieval.errors import MissingExtra

MOST_CATEGORIES = 30
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by the colour-blind, too
_MARKS = ("o", "s", "D", "^", "v", "P")


def by_category(report: Mapping[str, Any]) -> dict[str, str]:
    """File name to SVG for every measure. Raises MissingExtra without matplotlib."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a plot", "matplotlib", "report") from error
    with mpl.rc_context({"svg.hashsalt": "mmretrieval", "svg.fonttype": "none", "font.family": "sans-serif"}):
        return {file_of(name): _drawn(Figure, report, name) for name in report["measures"]}


def _drawn(figure_class: Any, report: Mapping[str, Any], measure: str) -> str:
    # The same system has the same colour and mark in every plot, also where another has no such measure.
    systems = [(number, s) for number, s in enumerate(report["systems"]) if measure in s["tables"]]
    rows = systems[0][1]["tables"][measure][:MOST_CATEGORIES]
    height = 1.0 + len(rows) * (0.16 + 0.16 * len(systems))
    legend = 0.22 * len(systems) + 0.1
    figure = figure_class(figsize=(8, height + legend), layout="constrained")
    axes = figure.add_subplot()
    for place, (number, system) in enumerate(systems):
        shift = (place - (len(systems) - 1) / 2) * 0.7 / len(systems)
        _draw_system(axes, system, system["tables"][measure][: len(rows)], number, shift)
    for place in range(1, len(rows)):
        axes.axhline(place - 0.5, color="#dddddd", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row['category']} ({row['queries']:,})" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=min(0, *(100 * row["low"] for _, s in systems for row in s["tables"][measure])))
    axes.set_xlabel(f"{measure}, percent, with its interval (number of {report['benchmark']['unit']})")
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside upper left", frameon=False, ncols=1)
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _draw_system(
    axes: Any, system: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], number: int, shift: float
) -> None:
    means = [100 * cell["mean"] for cell in cells]
    below = [max(100 * (cell["mean"] - cell["low"]), 0) for cell in cells]
    above = [max(100 * (cell["high"] - cell["mean"]), 0) for cell in cells]
    is_oracle = not system["facts"]
    axes.errorbar(
        means,
        [place + shift for place in range(len(cells))],
        xerr=[below, above],
        fmt=_MARKS[number % len(_MARKS)],
        color="#888888" if is_oracle else _COLOURS[number % len(_COLOURS)],
        markerfacecolor="white" if is_oracle else None,
        markersize=5,
        capsize=2,
        linewidth=1.2,
        clip_on=False,  # a mark at 0 is a whole mark
        label=system["name"].replace("$", r"\$"),
    )


def file_of(measure: str) -> str:
    """The file of a measure's plot: R-10.svg for R@10."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in measure).strip("-") + ".svg"
