"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Cells = Sequence[object]


def markdown(report: Mapping[str, Any], plots: Sequence[str] = ()) -> str:
    """All of the report; `plots` are names of picture files beside it."""
    return "\n".join(_lines(report, plots)) + "\n"


def _lines(report: Mapping[str, Any], plots: Sequence[str]) -> Iterator[str]:
    told = report["benchmark"]
    yield f"# {_safe(told['name'])} {_safe(told['split'])}"
    yield ""
    yield told_counts(told)
    if not told["judged"]:
        yield "There are no judgements here, so there is nothing to measure; the run files are written all the same."
    yield ""
    yield from _overall(report)
    yield from _against(report)
    yield from _categories(report)
    yield from (f"![{_safe(name)}]({name})\n" for name in plots)
    yield from _rounds(report)
    yield from _costs(report)
    yield from _systems(report)
    yield from _sources(report)
    yield from _times(report)


def told_counts(told: Mapping[str, Any]) -> str:
    """What was measured on, in a sentence or two."""
    if told["unit"] == "pairs":
        return f"{told['judged']:,} pairs of {told['candidates']:,} things, marked by people for how alike they are."
    over = "categories, each counting alike" if told["average"] == "categories" else "queries"
    counts = f"{told['judged']:,} judged queries of {told['queries']:,}, {told['candidates']:,} candidates."
    return f"{counts} Means are over {over}."


def _overall(report: Mapping[str, Any]) -> Iterator[str]:
    measures = report["measures"]
    if not measures:
        return
    rows = [[s["name"], *(_valued(s["tables"].get(m, [None])[0]) for m in measures)] for s in report["systems"]]
    yield from _table(["system", *measures], rows)
    level = report["statistics"]["level"]
    unit = report["benchmark"]["unit"]
    about_oracles = " An oracle knows the answers." if unit == "queries" else ""
    yield f"In percent, with the {level:.0%} bootstrap interval over {unit}.{about_oracles}"
    yield ""


def _against(report: Mapping[str, Any]) -> Iterator[str]:
    compared = [system for system in report["systems"] if system["against_first_stage"]]
    if not compared:
        return
    yield "## Against the first stage"
    yield ""
    rows = [
        [system["name"], each["measure"], _signed(each["delta"]), f"{each['p']:.4f}", each["wins"], each["losses"],
         _queries(each["best"]), _queries(each["worst"])]
        for system in compared for each in system["against_first_stage"]
    ]  # fmt: skip
    yield from _table(["system", "measure", "difference", "p", "wins", "losses", "gain most", "lose most"], rows)
    yield "Paired over queries, each counting alike: percent points with their interval, and the p-value of the"
    yield "two-sided randomisation test. The p-values are not adjusted for the number of measures."
    yield ""


def _categories(report: Mapping[str, Any]) -> Iterator[str]:
    for measure in report["measures"]:
        tables = [(s["name"], s["tables"][measure]) for s in report["systems"] if measure in s["tables"]]
        if len(tables[0][1]) < 2:
            continue
        yield f"## {measure} by category"
        yield ""
        rows = [
            [cell["category"], cell["queries"], *(_valued(table[place]) for _, table in tables)]
            for place, cell in enumerate(tables[0][1])
        ]
        yield from _table(["category", report["benchmark"]["unit"], *(name for name, _ in tables)], rows)


def _rounds(report: Mapping[str, Any]) -> Iterator[str]:
    for system in report["systems"]:
        if system["rounds"]:
            yield f"## Rounds of {_safe(system['name'])}"
            yield ""
            rows = [
                [r["round"], _percent(r["Recall@10"]), _percent(r["Hits@10"]), f"{r['mean rank']:.1f}"]
                for r in system["rounds"]
            ]
            yield from _table(["round", "Recall@10", "Hits@10", "mean rank"], rows)


def _costs(report: Mapping[str, Any]) -> Iterator[str]:
    if report["benchmark"]["unit"] == "pairs":  # which no stage works on
        return
    yield "## Cost and status"
    yield ""
    rows = [
        [system["name"], cost["stage"], cost["calls"], cost["cached"], cost["tokens"], _counts(cost["statuses"])]
        for system in report["systems"] for cost in system["cost"]
    ]  # fmt: skip
    yield from _table(["system", "stage", "model calls", "from cache", "tokens", "status of queries"], rows)
    warnings = [(system["name"], told) for system in report["systems"] for told in system["warnings"]]
    yield from (f"- {_safe(name)}: {_safe(told)}" for name, told in warnings)
    if warnings:
        yield ""


def _systems(report: Mapping[str, Any]) -> Iterator[str]:
    yield "## Systems"
    yield ""
    for system in report["systems"]:
        facts = system["facts"]
        yield f"- **{_safe(system['name'])}**: {_safe(system['about'])}"
        if facts:
            yield f"  - stages: {_safe(' → '.join(facts['stages']))}"
            yield f"  - {_safe('; '.join(facts['candidates']['notes']))}"
            yield f"  - encoder: {_safe(_pairs(facts['encoder']) or 'none')}"
            yield from (f"  - `{name}`: {_safe(told)}" for name, told in facts["origins"].items())
    yield ""


def _sources(report: Mapping[str, Any]) -> Iterator[str]:
    told = report["benchmark"]
    yield "## Data and versions"
    yield ""
    yield from (f"- {_safe(note)}" for note in told["notes"])
    yield f"- licence: {_safe(told['licence']) or 'not told'}"
    yield f"- SHA-256 of {told['unit']}, judgements and candidates: `{told['sha256']}`"
    yield f"- {_pairs(report['versions'])}"
    yield f"- statistics: {_pairs(report['statistics'])}"
    yield ""


def _times(report: Mapping[str, Any]) -> Iterator[str]:
    if not report["times"]:
        return
    yield "## Times"
    yield ""
    yield "This section alone may differ between two runs of the same."
    yield ""
    rows = [[name, *times.values()] for name, times in report["times"].items()]
    yield from _table(["system", "seconds", "milliseconds a query"], rows)


def _table(head: Cells, rows: Sequence[Cells]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from map(_row, rows)
    yield ""


def _row(cells: Cells) -> str:
    return "| " + " | ".join(_safe(str(cell)) for cell in cells) + " |"


def _valued(cell: Mapping[str, Any] | None) -> str:
    return "-" if cell is None else f"{_percent(cell['mean'])} [{_percent(cell['low'])}, {_percent(cell['high'])}]"


def _signed(delta: Mapping[str, float]) -> str:
    return f"{100 * delta['mean']:+.2f} [{100 * delta['low']:+.2f}, {100 * delta['high']:+.2f}]"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _queries(pairs: Sequence[Sequence[Any]]) -> str:
    return ", ".join(str(query) for query, _ in pairs) or "-"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{status} {count:,}" for status, count in counts.items())


def _pairs(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _safe(text: str) -> str:
    """Text that cannot break a table or become HTML."""
    flat = " ".join(text.split())
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
