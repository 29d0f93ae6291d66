"""INQUIRE: what naturalists ask of five million photographs (Vendrow et al., NeurIPS 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry, refuse_doubles
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData, MissingExtra
from mmretrieval.types import Query

COLLECTION = 5_000_000
POOL = 100
_FULLRANK = MappingProxyType(
    {"val": (50, "fdd47796521c584891d1a1d01f9b04697e1b386bbcc9b77696bedeaf77780650"), "test": (200, "")}
)
_RERANK = MappingProxyType({"validation": 4000, "test": 16_000})
_COLUMNS = ("query_id", "query_text", "supercategory", "category", "iconic_group")
_RERANK_COLUMNS = (
    "query",
    "relevant",
    "inat24_image_id",
    "inat24_file_name",
    "supercategory",
    "category",
    "iconic_group",
)


class INQUIRE(Dataset):
    """INQUIRE: expert queries over iNat24, all of it (fullrank) or 100 photographs a query (rerank).

    Fullrank needs the query files and inquire_annotations.csv; ids are iNat24 paths without their ending, and the
    five million photographs are indexed apart. Rerank needs the Parquet files of its card; its ids are iNat24's image
    numbers, and the pictures are expected under images/ by their file names. The means hold for the categories
    Appearance, Behavior, Context and Species too.
    """

    paper = "arXiv 2411.02537"
    source = (
        "https://github.com/inquire-benchmark/INQUIRE (folder data); "
        "https://huggingface.co/datasets/evendrow/INQUIRE-Rerank"
    )
    licence = "queries MIT; INQUIRE-Rerank CC BY-NC 4.0; each photograph has its own on iNaturalist"
    splits = ("fullrank-test", "fullrank-val", "rerank-test", "rerank-validation")

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        kind, _, which = split.partition("-")
        return (_fullrank if kind == "fullrank" else _rerank)(reader, split, which)


def _fullrank(reader: Reader, split: str, which: str) -> Benchmark:
    published, sha256 = _FULLRANK[which]
    official = f"data/inquire/inquire_queries_{which}.csv"
    rows = reader.rows(official, _COLUMNS, published, "queries", sha256)
    refuse_doubles(rows, lambda row: row.number("query_id"), "query_id")
    queries = tuple(Query(str(row.number("query_id")), row.text("query_text")) for row in rows)
    qrels, paths = _annotations(reader, {query.id for query in queries})
    images = reader.images(paths, "inat24", "inat24/train")
    reader.notes.append(f"the collection is all of iNat24 ({COLLECTION:,} photographs); only annotated ones are listed")
    return Benchmark(
        INQUIRE.name,
        split,
        queries=queries,
        qrels=qrels,
        categories={str(row.number("query_id")): row.text("supercategory") for row in rows},
        images=images,
        measures=("APmin@50", "nDCG@50", "RR"),
        notes=tuple(reader.notes),
        groups=_groups([(str(row.number("query_id")), row) for row in rows]),
        licence=INQUIRE.licence,
    )


def _groups(rows: Sequence[tuple[str, Entry]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for query, row in rows:
        for column in ("category", "iconic_group"):
            if value := row.text(column, or_empty=True):  # two queries of test have no iconic group
                found.setdefault(f"{column}: {value}", set()).add(query)
    return {name: frozenset(ids) for name, ids in sorted(found.items())}


def _annotations(reader: Reader, known: set[str]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Judgements of the known queries and the paths of their images; nothing, with a note, without the file."""
    official = "data/inquire/inquire_annotations.csv"
    if not reader.find(official):
        reader.notes.append(f"{official} is not here, so there are queries and no judgements: {reader.source}")
        return {}, {}
    rows = reader.rows(official, ("query_id", "image_path"), None, "annotations")
    qrels: dict[str, dict[str, int]] = {}
    paths: dict[str, str] = {}
    for row in rows:
        query, path = str(row.number("query_id")), row.text("image_path")
        if query in known:  # the file holds val and test together
            name = path.removesuffix(".jpg")
            qrels.setdefault(query, {})[name] = 1
            paths[name] = path
    lacking = sorted(known - qrels.keys(), key=int)
    if lacking:
        raise InvalidData(f"{official}: the query '{lacking[0]}' has no relevant image, and {len(lacking)} lack one")
    return qrels, paths


def _rerank(reader: Reader, split: str, which: str) -> Benchmark:
    rows = _table(reader, which)
    pools: dict[str, dict[str, Entry]] = {}
    for row in rows:
        pool, image = pools.setdefault(row.text("query"), {}), str(row.number("inat24_image_id"))
        if image in pool:
            raise InvalidData(f"{row.place}: the image '{image}' is in the pool of '{row.text('query')}' already")
        pool[image] = row
    uneven = next((text for text, pool in pools.items() if len(pool) != POOL), None)
    if uneven is not None:
        raise InvalidData(f"{reader.data}: the query '{uneven}' has {len(pools[uneven])} images, and {POOL} are needed")
    ids = {text: f"{which}-{number:03d}" for number, text in enumerate(sorted(pools))}
    first = {ids[text]: next(iter(pool.values())) for text, pool in pools.items()}
    paths = {image: row.text("inat24_file_name") for pool in pools.values() for image, row in pool.items()}
    return Benchmark(
        INQUIRE.name,
        split,
        queries=tuple(Query(ids[text], text, within=frozenset(pools[text])) for text in sorted(pools)),
        qrels={ids[text]: _positives(pools[text]) for text in sorted(pools)},
        categories={query: row.text("supercategory") for query, row in sorted(first.items())},
        images=reader.images(dict(sorted(paths.items())), "images"),
        measures=("APmin@100", "nDCG@100", "RR"),
        notes=tuple(reader.notes),
        groups=_groups(sorted(first.items())),
        licence=INQUIRE.licence,
    )


def _positives(pool: Mapping[str, Entry]) -> dict[str, int]:
    return {image: int(row.real("relevant", 0, 1)) for image, row in sorted(pool.items())}


def _table(reader: Reader, which: str) -> list[Entry]:
    """The rows of the Parquet files of a split, without the pictures in them."""
    places = [reader.data / "data", reader.data, reader.data / "dev", reader.data / "holdout"]
    files = next((found for place in places if (found := sorted(place.glob(f"{which}-*.parquet")))), [])
    if not files:
        reader.need(f"data/{which}-*.parquet")  # raises, and names the page
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingExtra("INQUIRE-Rerank", "pyarrow", "scale") from error
    rows: list[Entry] = []
    for file in files:
        try:
            with ParquetFile(file) as table:
                lacking = [name for name in _RERANK_COLUMNS if name not in table.schema_arrow.names]
                if lacking:
                    raise InvalidData(f"{file}: there is no column '{lacking[0]}'")
                for batch in table.iter_batches(columns=list(_RERANK_COLUMNS)):
                    rows += [Entry(row, f"{file}, row {len(rows) + n}") for n, row in enumerate(batch.to_pylist(), 1)]
        except (ArrowException, OSError) as error:
            raise InvalidData(f"{file}: not a Parquet file that can be read ({error})") from error
    reader.count(files, len(rows), _RERANK[which], "rows")
    return rows
