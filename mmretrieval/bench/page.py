"""The report as one HTML page that needs nothing else: styles and plots are in it, and every text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmretrieval.bench.markdown import told_counts
from mmretrieval.bench.plots import file_of


def page(report: Mapping[str, Any], plots: Mapping[str, str]) -> str:
    """`plots` are SVG by file name; our own, so they stand in the page as they are."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.2f}"
    environment.filters["points"] = lambda value: f"{100 * value:+.2f}"
    template = environment.from_string((Path(__file__).parent / "page.html.jinja").read_text("utf-8"))
    files = {measure: file_of(measure) for measure in report["measures"]}
    # matplotlib writes a declaration and a document type before the picture, which have no place in a page.
    pictures = {name: plots[file][plots[file].index("<svg") :] for name, file in files.items() if file in plots}

    def systems_of(measure: str) -> list[Any]:
        return [system for system in report["systems"] if measure in system["tables"]]

    told = report["benchmark"]
    return template.render(report=report, plots=pictures, told=told, counts=told_counts(told), systems_of=systems_of)
