"""Options that several commands share, and the small languages of --image and --weight."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mmretrieval.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
IndexFolder = Annotated[Path, typer.Option("--index", metavar="IDX", help="The index folder.", show_default=False)]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps; the best there is by default.")]
IndexKind = Annotated[str, typer.Option("--index-kind", help="How nearest vectors are found; see: list indexes.")]
KeptIndexKind = Annotated[
    str | None,
    typer.Option(
        "--index-kind",
        metavar="auto|NAME[:SETTING]",
        help="How nearest vectors are found, as in rabitq:bits=2; see: list indexes. An index keeps its own.",
    ),
]
Captions = Annotated[
    str | None,
    typer.Option(
        "--captions",
        metavar="clip|sentence:NAME|none",
        help="Encode captions too, for --hybrid: by the encoder, or a sentence model; an index keeps its own.",
    ),
]
Hybrid = Annotated[
    str | None,
    typer.Option(
        "--hybrid", metavar="rrf|blend", help="Search captions and metadata, too; join by ranks or by scores."
    ),
]
Fuse = Annotated[
    str | None,
    typer.Option(
        "--fuse",
        metavar="[HOW:]image=W,caption=W",
        help="Score pictures by looks and captions; late, standard or early, as in early:image=0.7,caption=0.3.",
    ),
]
Weight = Annotated[
    str | None,
    typer.Option("--weight", metavar="text=W,image=W", help="How much words and pictures count; like=W, unlike=W."),
]
Compose = Annotated[
    str, typer.Option("--compose", metavar="sum|slerp|product", help="How words and pictures are joined.")
]
Refine = Annotated[
    list[str] | None,
    typer.Option(
        "--refine", metavar="NAME[:KEY=VALUE,…]", help="Refine the ranking; may be repeated. See: list refiners."
    ),
]
Rewrite = Annotated[
    list[str] | None,
    typer.Option(
        "--rewrite", metavar="NAME[:KEY=VALUE,…]", help="Let a method rewrite the query first. See: list rewriters."
    ),
]
Rerank = Annotated[
    list[str] | None,
    typer.Option(
        "--rerank", metavar="NAME[:KEY=VALUE,…]", help="Rerank the best; may be repeated. See: list rerankers."
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="EXPR", help="Only records whose metadata fits, as in \"cuisine = 'thai' AND stars > 3\"."
    ),
]
EncoderOverride = Annotated[
    str | None,
    typer.Option("--encoder", metavar="NAME", help="Where the index's encoder is now, if it has another name here."),
]


def parse_filter(text: str | None) -> str:
    """The expression, empty without one; UsageError for a blank one, as an unset variable of the shell is."""
    if text is not None and not text.strip():
        raise UsageError("--filter is blank: give a condition such as \"cuisine = 'thai'\", or leave it out")
    return text or ""


def parse_weights(text: str) -> dict[str, float]:
    """The numbers of "text=1,image=0.5"; UsageError says what is wrong with it otherwise."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or name not in ("text", "image", "like", "unlike"):
            raise UsageError(f"--weight '{text}' is not understood at '{part}': write it as text=1,image=0.5")
        if name in weights:
            raise UsageError(f"--weight '{text}' gives {name} twice: give it once")
        try:
            weights[name] = float(number)
        except ValueError:
            raise UsageError(f"--weight '{text}' gives {name} '{number}', which is no number") from None
    return weights


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """The bytes of "2GB", "512 MiB" or "4000000"; UsageError otherwise."""
    found = _SIZE.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"--memory '{text}' is no size: write it as 2GB or 512MB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(found[2].upper() or " "))


def parse_image(text: str) -> tuple[Path | None, str | None]:
    """A file, or "id:ID" for a picture of the collection: (path, None) or (None, id)."""
    if not text.startswith("id:"):
        return Path(text), None
    if not text[3:]:
        raise UsageError("--image id: names no picture: write the id behind it, as in --image id:holiday/0042")
    return None, text[3:]
