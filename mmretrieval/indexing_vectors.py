"""Brings an index folder up to date with ready vectors: check, compare, append, commit.

The whole input is checked before the first row is written, so what is refused changes nothing. Then the rows go in
block by block with the commits of `indexing`: a run that is killed loses at most the block in hand, and the next one
finds the blocks before it unchanged. Memory is bounded by the size of a block, not of the files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.creation import VECTORS, check_empty, create_index, encoder_facts, no_encoder_facts, root_facts
from mmretrieval.encoder_names import refuse_another
from mmretrieval.encoders import open_encoder
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.indexing import IndexReport, Progress, check_encoder
from mmretrieval.lock import sole_writer
from mmretrieval.manifest import each_entry
from mmretrieval.protocols import Encoder
from mmretrieval.ready_vectors import GivenIds, blocks, check_rows, open_vectors
from mmretrieval.vector_writer import VectorWriter
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_CAPTIONS = 4_096  # looked at for the mean of texts of a new index
_NO_PICTURES = {"source": VECTORS, "is_drawn": False, "root": "", "root_from_index": None}


def index_vectors(
    vectors: Path | str | NDArray[Any],
    ids: Path | str | Sequence[str],
    index: Path | str,
    encoder: str | Encoder | None = None,
    *,
    manifest: Path | str | None = None,
    pictures: Path | str | None = None,
    text_vectors: Path | str | NDArray[Any] | None = None,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Make an index folder of ready vectors, or bring it up to date with them; no picture is needed.

    `vectors` is a .npy file, mapped into memory, or an array, (n, dim) of float16, float32 or float64; the rows are
    made unit rows. `ids` is a file with one id a line, or a sequence, in the order of the rows. What is new is
    appended, what changed is replaced, and ids that are gone are removed. A `manifest` (`id`, optionally `path`,
    `caption` and further fields) gives metadata, with paths below the folder `pictures`; without one, what the index
    knows stays. `encoder` is the model that made the vectors; without one, the index can be searched by ids and
    vectors and not by words. `text_vectors`, (m, dim) of typical texts, give the mean of texts where there is no
    encoder.

    Raises NotFound for a file that is not there, InvalidData naming row or line of what is wrong in one, UsageError
    for files that do not go together, FingerprintMismatch for another encoder than the index has, IndexLocked and
    StorageError as `index` does. What is refused changes nothing. Cost: one pass over the rows to check, one to write.
    """
    began = time.monotonic()
    told = progress or (lambda _: None)
    matrix = open_vectors(_place(vectors))
    texts = None if text_vectors is None else open_vectors(_place(text_vectors))
    with GivenIds(_place(ids)) as given:
        _check(matrix, texts, given, _name(vectors, "the vectors"), told)
        if manifest is not None:
            given.describe(each_entry(Path(manifest), needs_path=False))
        index = Path(index)
        with sole_writer(index):
            opened = _opened(index, encoder, matrix.shape[1], device, precision)
            if not Catalog.exists(index):
                check_empty(index)
                born = _facts_of_encoder(opened, texts, given.captions(_MOST_CAPTIONS), matrix.shape[1])
                create_index(index, matrix.shape[1], {**_NO_PICTURES, **born})
                opened = texts = None
            with closing(Catalog.open_writer(index)) as catalog:
                writer = VectorWriter(catalog, index, matrix, given, _telling(told, len(matrix)), stop or _never)
                writer.go(_new_facts(catalog.meta(), opened, texts, given, pictures, index))
    return _report(writer, time.monotonic() - began)


def _never() -> bool:
    return False


def _telling(progress: Callable[[Progress], None], total: int) -> Callable[[int, str], None]:
    return lambda done, last: progress(Progress("index", done, total, last))


def _report(writer: VectorWriter, seconds: float) -> IndexReport:
    return IndexReport(
        indexed=writer.counts["indexed"],
        unchanged=writer.counts["unchanged"],
        moved=0,
        removed=writer.counts["removed"],
        duplicates=0,
        skipped=(),
        warnings=tuple(writer.warnings),
        seconds=seconds,
        interrupted=writer.interrupted,
    )


def _place(given: Any) -> Any:
    return Path(given) if isinstance(given, str) else given


def _name(given: Any, otherwise: str) -> str:
    return str(given) if isinstance(given, Path | str) else otherwise


def _check(
    matrix: NDArray[Any], texts: NDArray[Any] | None, ids: GivenIds, name: str, told: Callable[[Progress], None]
) -> None:
    """Everything that can be wrong with what was given, before anything is written."""
    n, dim = matrix.shape
    if n != ids.count:
        raise InvalidData(f"{name}: has {n} rows, and {ids.name} {ids.count} ids: one id is needed for every row")
    if texts is not None:
        if texts.shape[1] != dim:
            raise InvalidData(f"the text vectors have {texts.shape[1]} numbers each, and {name} {dim}: both must agree")
        check_rows(texts, "the text vectors", lambda _: None)
    check_rows(matrix, name, lambda seen: told(Progress("check", seen, n)))


def _opened(
    index: Path, encoder: str | Encoder | None, dim: int, device: str | None, precision: Literal["fp32", "bf16"] | None
) -> Encoder | None:
    """The encoder, if one is named that the index does not have already; another than it has is refused."""
    meta = _meta(index)
    if meta is not None:
        _check_index(meta, index, dim)
    made_with = meta["encoder"] if meta is not None else ""
    if encoder is None or encoder == made_with:
        return None
    if isinstance(encoder, str):
        if made_with:
            refuse_another(encoder, made_with, index)
        encoder = open_encoder(encoder, device=device, precision=precision or "fp32")
    if meta is not None and made_with:
        check_encoder(encoder, meta, index)
        return None
    if encoder.dim != dim:
        raise UsageError(
            f"the vectors have {dim} numbers each, and the encoder '{encoder.spec}' makes {encoder.dim}: name the "
            "model that made them"
        )
    return encoder


def _meta(index: Path) -> dict[str, Any] | None:
    if not Catalog.exists(index):
        return None
    with closing(Catalog.open_snapshot(index)) as catalog:
        return catalog.meta()


def _check_index(meta: Mapping[str, Any], index: Path, dim: int) -> None:
    if meta["source"] != VECTORS:
        raise UsageError(f"{index}: holds the pictures of {meta['root']}; give ready vectors a folder of their own")
    if len(meta["text_mean"]) != dim:
        raise UsageError(
            f"{index}: holds vectors of {len(meta['text_mean'])} numbers each, and these have {dim}; give them a "
            "folder of their own"
        )


def _facts_of_encoder(
    encoder: Encoder | None, texts: NDArray[Any] | None, captions: Sequence[str], dim: int
) -> dict[str, Any]:
    if encoder is not None:
        return encoder_facts(encoder, captions)
    if texts is None:
        return no_encoder_facts(np.zeros(dim))
    return no_encoder_facts(sum(part.sum(axis=0, dtype=np.float64) for _, part in _unit_blocks(texts)) / len(texts))


def _unit_blocks(matrix: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start, part in blocks(matrix):
        yield start, unit_rows(part)


def _new_facts(
    meta: Mapping[str, Any],
    encoder: Encoder | None,
    texts: NDArray[Any] | None,
    ids: GivenIds,
    pictures: Path | str | None,
    index: Path,
) -> dict[str, Any]:
    """What this run tells of the encoder and the pictures that the index did not know."""
    facts: dict[str, Any] = {}
    if not meta["encoder"] and (encoder is not None or texts is not None):
        facts |= _facts_of_encoder(encoder, texts, ids.captions(_MOST_CAPTIONS), len(meta["text_mean"]))
    if pictures is not None:
        facts |= root_facts(Path(pictures), index)
    return {name: value for name, value in facts.items() if meta.get(name) != value}
