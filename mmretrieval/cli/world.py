"""mmretrieval world: draw a collection with known answers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmretrieval.cli.options import Json
from mmretrieval.cli.report import Report, row


class Domain(StrEnum):
    """What is drawn."""

    food = "food"
    nature = "nature"
    both = "both"


def world(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write it; made if need be.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same world.", show_default=False)],
    images: Annotated[int, typer.Option("--images", min=1, help="How many pictures.", show_default=False)],
    domain: Annotated[Domain, typer.Option("--domain", help="Food plates, natural scenes, or both.")] = Domain.both,
    json: Json = False,
) -> Report:
    """Draw a collection with known answers.

    Pictures with captions, queries and exact judgements, to try, test and teach with.
    """
    from mmretrieval.cli.progress import Bar
    from mmretrieval.demo.write import write_world

    with Bar("drawn") as bar:
        report = write_world(folder, seed=seed, images=images, domain=domain.value, progress=bar)
    facts = report.to_dict()
    return Report(fields=facts, lines=[row(name, value) for name, value in facts.items()])
