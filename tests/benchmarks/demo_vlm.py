"""What the shipped demo VLM says of scenes of a seed it never saw.

    python tests/benchmarks/demo_vlm.py [--model DIR] [--seed S] [--scenes N] [--sheets N] [--out STEM]

Writes STEM.md and STEM.json (by default assets/reports/demo-vlm). Takes a few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmretrieval.encoders import open_encoder
from mmretrieval.mllm_names import open_mllm
from mmretrieval.training.vlm_grids import GridQuality, measure_grids
from mmretrieval.training.vlm_quality import SETTING, THINGS, Quality, measure

ROOT = Path(__file__).resolve().parents[2]
BARS = {  # wanted, stretch
    "setting slots": ("setting", 0.98, None),
    "item slots": ("things", 0.85, 0.95),
    "item list F1": ("list_f1", 0.85, 0.95),
    "change applied": ("applied", 0.75, 0.90),
    "rest kept": ("kept", 0.85, 0.95),
    "yes/no on one-attribute pairs": ("verdict", 0.80, 0.92),
}


def bars(quality: Quality) -> str:
    lines = ["| | wanted | stretch | reached |", "|---|---|---|---|"]
    for name, (field, wanted, stretch) in BARS.items():
        more = f"{stretch:.0%}" if stretch else ""
        lines.append(f"| {name} | {wanted:.0%} | {more} | **{getattr(quality, field):.1%}** |")
    return "\n".join(lines)


def slots(quality: Quality) -> str:
    lines = ["| slot | right |", "|---|---|"]
    lines += [f"| {family.replace('_', ' ')} | {quality.slots[family]:.1%} |" for family in (*SETTING, *THINGS)]
    return "\n".join(lines)


def grids(found: Sequence[GridQuality]) -> str:
    lines = [
        "| cells | chance | demo CLIP | one sheet, 1 call | labelled list, 1 call | one by one, a call each |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        shares = (one.clip, one.sheet, one.listed, one.alone)
        told = " | ".join(f"{first:.0%} ({two:.0%})" for first, two in shares)
        lines.append(f"| {one.side} x {one.side} | {one.chance:.0%} | {told} |")
    return "\n".join(lines)


def report(quality: Quality, found: Sequence[GridQuality], seed: str) -> str:
    return f"""# The demo VLM on scenes it never saw

{quality.scenes} scenes of the seed `{seed}`, half food and half nature, drawn at 256 pixels, asked through the back end
of transformers models with the compact prompts. Written by `tests/benchmarks/demo_vlm.py`.

{bars(quality)}

- *setting slots*: plate, its colour, table, cutlery and its side, habitat, weather, as the sentence says them; *item
  slots*: what lies or stands where, how many, its colour, what it does, the plant. Means over the kinds of slot below;
  empty places are not counted.
- *item list F1*: the list of items against the scene's, mean over scenes.
- *change applied*: every slot that the change names is right in the sentence after it; *rest kept*: the share of the
  other slots that are right.
- *yes/no*: a query that mentions three quarters of a scene's facts, and that its one-attribute edit does not fit
  ({quality.pairs} pairs), asked of both pictures; the share of right answers. The right one of the two gets the better
  odds in **{quality.pair:.1%}** of the pairs (chance 50 %).
- {quality.failed} questions went unanswered.

{slots(quality)}

## Which cell of a marked sheet

The right picture first, and, in brackets, among the first two, in {found[0].sheets} sheets a size. Every third picture
is a one-attribute edit of another one on the sheet; queries mention three quarters of the facts.

{grids(found)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--seed", default="report")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--sheets", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "demo-vlm")
    asked = parser.parse_args(arguments)
    began = time.process_time()
    model = open_mllm(asked.model)
    quality = measure(model, asked.seed, asked.scenes)
    encoder = open_encoder("demo")
    found = [measure_grids(model, encoder, side, asked.seed, asked.sheets) for side in (2, 3, 4)]
    text = report(quality, found, asked.seed)
    asked.out.with_suffix(".md").write_text(text, encoding="utf-8")
    facts = {"seed": asked.seed, "quality": asdict(quality), "grids": [asdict(one) for one in found]}
    asked.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sys.stderr.write(f"{text}\n{time.process_time() - began:.0f} s of CPU time\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
