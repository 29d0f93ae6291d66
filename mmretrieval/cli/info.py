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

    Counts, encoder, how nearest vectors are found, sizes; with --files every file the index has seen.
    """
    from mmretrieval import planner
    from mmretrieval.collection import Collection
    from mmretrieval.reply_cache import kept_replies

    with Collection.open(index) as collection:
        facts = {**collection.info(), "first_stage": planner.describe(collection)}
        if replies := kept_replies(index):
            facts["replies"] = replies
        ledger = list(collection.files()) if files else []
    warnings = list(facts["first_stage"].get("warnings", ()))
    if not files:
        return Report(fields=facts, lines=list(_flat(_for_people(facts))), warnings=warnings)
    lines = [row(each["state"], each["path"], each["id"], each["reason"]) for each in ledger]
    return Report(fields={**facts, "files": ledger}, lines=lines, warnings=warnings)


def _for_people(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What most ask for first, and long hashes last."""
    hidden = ("warnings", "curve")  # the one stands above, the other is long: both are in the JSON
    stage = {name: value for name, value in facts["first_stage"].items() if name not in hidden}
    first = {"counts": facts["counts"], "encoder": facts["encoder"], "first_stage": stage}
    return {**first, **{name: value for name, value in facts.items() if name not in (*first, "fingerprint")}} | {
        "fingerprint": facts["fingerprint"]
    }


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested facts as lines of a dotted name and a value."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield row(f"{prefix}{name}", value)
