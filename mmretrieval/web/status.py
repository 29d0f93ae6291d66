"""What a visitor should know of a server: what it searches, with which models, and what they know."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mmretrieval import registry
from mmretrieval.encoders import is_demo
from mmretrieval.errors import MissingPrerequisite
from mmretrieval.searcher import doubts

if TYPE_CHECKING:
    from mmretrieval.web.desk import Desk

KINDS = ("rewriters", "refiners", "rerankers")
DRAWN = "drawn pictures of food and nature"


def status(desk: Desk) -> dict[str, Any]:
    """Counts, models, fields for filters, methods, limits; costs little once the fields were counted."""
    with desk.reading() as collection:
        return {
            "records": collection.count,
            "version": collection.version,
            "encoder": collection.encoder_spec,
            "encoder_knows": DRAWN if is_demo(collection.encoder_spec) else "",
            "is_drawn": collection.is_drawn,
            "language_model": desk.model_name,
            "language_model_knows": DRAWN if desk.model_name == "demo" else "",
            "channels": sorted(collection.channels),
            "fields": [
                {"name": f.name, "kinds": list(f.kinds), "records": f.records, "is_list": f.is_list}
                for f in collection.fields()
            ],
            "warnings": list(doubts(collection)),
            "methods": {kind: _methods(kind) for kind in KINDS},
            "limits": {"upload_bytes": desk.limits.upload_bytes, "upload_pixels": desk.limits.upload_pixels},
        }


def _methods(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "about": _about(kind, name)} for name in registry.names(kind)]


def _about(kind: str, name: str) -> str:
    try:
        thing = registry.load(kind, name)
    except MissingPrerequisite as error:
        return str(error)
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
