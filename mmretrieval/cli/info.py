"""mmretrieval info: what an index holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from mmretrieval.cli.options import IndexFolder, Json
from mmretrieval.cli.report import Report, row


def info(
    index: IndexFolder,
    files: Annotated[bool, typer.Option("--files", help="Every file with its state and the reason.")] = False,
    json: Json = False,
) -> Report:
    """Show what an index holds.

    Counts, the encoder's fingerprint and sizes; with --files every file the index has seen.
    """
    from mmretrieval.collection import Collection

    with Collection.open(index) as collection:
        facts = collection.info()
        ledger = list(collection.files()) if files else []
    if not files:
        return Report(fields=facts, lines=list(_flat(facts)))
    lines = [row(each["state"], each["path"], each["id"], each["reason"]) for each in ledger]
    return Report(fields={**facts, "files": ledger}, lines=lines)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested facts as lines of a dotted name and a value."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield row(f"{prefix}{name}", value)
