"""A small drawn collection for the page: fields to filter by, near-duplicates to fold, and a caption that attacks."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

import mmretrieval as mm
from mmretrieval.demo.write import write_world

PICTURES = 72
TWIN = "food-twin"
HOSTILE = "<img src=x onerror=\"window.attacked=1\"><script>window.attacked=2</script>&amp; 'quoted'"


def make_collection(folder: Path) -> Path:
    """The index; some seconds, most of them for loading the demo model."""
    world = folder / "world"
    write_world(world, seed=7, images=PICTURES)
    manifest = world / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    for number, row in enumerate(rows):
        row["maker"] = f"Painter {number % 3}"
        row["licence"] = "CC-BY-4.0"
        row["price"] = 5 + number % 10
    rows[1]["caption"] = HOSTILE
    rows.append(_twin(world, rows[0]))
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    mm.index(world, folder / "index", "demo")
    return folder / "index"


def _twin(world: Path, row: dict[str, object]) -> dict[str, object]:
    """The same picture once more, compressed: other bytes, nearly the same look."""
    path = f"images/{TWIN}.jpg"
    with Image.open(world / str(row["path"])) as picture:
        picture.convert("RGB").save(world / path, quality=80)
    return {**row, "id": TWIN, "path": path}
