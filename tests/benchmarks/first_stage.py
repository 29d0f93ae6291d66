"""What a warm search costs against the same product in plain NumPy: 10,000 and 100,000 rows of 256 numbers.

    OMP_NUM_THREADS=1 python tests/benchmarks/first_stage.py [--out FILE] [--rows N ...] [--rounds N]

Rows lie in segment files as an index has them. All ways take turns within a round, so that a busy machine disturbs
them alike; the ratio to NumPy is taken round by round. Takes about a minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import faiss
import numpy as np

from mmretrieval.errors import NotFound
from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact
from mmretrieval.protocols import Encoder
from mmretrieval.segments import Rows, append_rows, map_segment
from mmretrieval.types import ImageRecord, Query
from mmretrieval.vectors import half_rows, unit_rows

ROOT = Path(__file__).resolve().parents[2]
DIM, TOP_K = 256, 10


class Known(Encoder):
    """Knows the vectors of its texts beforehand, so that encoding costs nothing."""

    spec, dim, input_size = "known", DIM, 1
    fingerprint = MappingProxyType({})

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def encode_images(self, images: Sequence[object]) -> np.ndarray:
        raise NotImplementedError("the benchmark asks by words alone")

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.vectors[[int(text) for text in texts]]

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)


class Numbered:
    """A collection of rows whose ids are their positions."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.ids = [f"{number:07}" for number in range(rows.n)]
        self.image_mean = self.text_mean = np.zeros(DIM, np.float32)

    def rows(self, channel: str = "image") -> Rows:
        return self._rows

    def position(self, record_id: str) -> int:
        if not record_id.isdigit():
            raise NotFound(record_id)
        return int(record_id)

    def records_at(self, positions: np.ndarray) -> list[ImageRecord]:
        return [ImageRecord(self.ids[position], f"{self.ids[position]}.jpg") for position in positions]


@dataclass
class Timing:
    """Milliseconds of one way, one number per round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.wall.append((time.perf_counter() - wall) * 1e3)
        self.cpu.append((time.process_time() - cpu) * 1e3)


def stored_rows(folder: Path, n: int) -> Rows:
    """Unit rows in clusters, written to segment files in an order that is not that of their ids."""
    rng = np.random.default_rng(n)
    centres = rng.normal(size=(200, DIM))
    last, places = None, np.empty((n, 2), np.int64)
    order = rng.permutation(n)
    for at in range(0, n, 10_000):
        own = order[at : at + 10_000]
        part = half_rows(centres[rng.integers(0, 200, len(own))] + rng.normal(size=(len(own), DIM)))
        touched, places[own] = append_rows(folder, "image", last, part)
        last = touched[-1]
    assert last is not None
    return Rows([(last.number, map_segment(folder, "image", last, DIM))], places, dim=DIM, name="benchmark")


def numpy_search(matrix: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The best rows by the plainest fast means: one product, a partial and a full sort."""
    scores = matrix @ query
    best = np.argpartition(-scores, TOP_K)[:TOP_K]
    return best[np.argsort(-scores[best])]


def compare(n: int, rounds: int, folder: Path) -> tuple[dict[str, Timing], dict[str, float]]:
    """Timings of a single query by way, and milliseconds of what is done once."""
    rows = stored_rows(folder, n)
    queries = unit_rows(np.random.default_rng(1).normal(size=(rounds + 1, DIM)) + rows.take(np.arange(rounds + 1)) * 16)
    matrix = rows.take(np.arange(n))
    exact, bare = (
        Exact(rows),
        faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT),
    )
    bare.add(matrix)
    once = {"exact, first search": timed(lambda: exact.search(queries[:1], TOP_K))}
    collection, encoder = Numbered(rows), Known(queries)
    dense = Dense(encoder, collection, exact)
    ways: dict[str, Callable[[int], object]] = {
        "NumPy": lambda at: numpy_search(matrix, queries[at]),
        "exact": lambda at: exact.search(queries[at : at + 1], TOP_K),
        "FAISS, its index alone": lambda at: bare.search(queries[at : at + 1], TOP_K),
        "Dense over exact": lambda at: dense.search([Query(text=str(at))], TOP_K),
    }
    timings = {name: Timing() for name in ways}
    for at in range(1, rounds + 1):
        found = exact.search(queries[at : at + 1], TOP_K)[0][0]
        assert set(found.tolist()) == set(numpy_search(matrix, queries[at]).tolist())
        for name, way in ways.items():
            timings[name].measure(lambda way=way, at=at: way(at))
    once["64 queries at once, exact, each"] = timed(lambda: exact.search(queries[:64], TOP_K)) / min(64, rounds + 1)
    once["64 queries at once, FAISS, each"] = timed(lambda: bare.search(queries[:64], TOP_K)) / min(64, rounds + 1)
    return timings, once


def timed(work: Callable[[], object]) -> float:
    """CPU milliseconds of something done once."""
    timing = Timing()
    timing.measure(work)
    return timing.cpu[0]


def _ratio(ours: Sequence[float], plain: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, plain, strict=True))


def report(results: dict[int, tuple[dict[str, Timing], dict[str, float]]], rounds: int) -> str:
    """The report as Markdown."""
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    head = f"""# The first stage, warm

One query for the best {TOP_K} of unit rows of {DIM} numbers, stored as float16 in segment files. *NumPy* is the product
of a float32 matrix in memory with the query, then a partial sort; it promises nothing about ties. All others give
the exact order, ties by id; *Dense* adds what makes hits of them: paths, shares, a line of why.

Medians of {rounds} rounds in which all ways take turns; the ratios are medians of the rounds' ratios. The machine has
{os.cpu_count()} processors ({platform.machine()}) and a load of {load}: on a busy one believe the CPU time.
OMP_NUM_THREADS is {threads}, NumPy {version("numpy")}, FAISS {version("faiss-cpu")}. Written by
`tests/benchmarks/first_stage.py`.
"""
    lines = [head.rstrip()]
    for n, (timings, once) in results.items():
        lines += [
            "",
            f"## {n:,} rows",
            "",
            "| way | wall ms | times NumPy | CPU ms | times NumPy |",
            "|---|---|---|---|---|",
        ]
        base = timings["NumPy"]
        for name, timing in timings.items():
            wall, cpu = statistics.median(timing.wall), statistics.median(timing.cpu)
            slower = _ratio(timing.wall, base.wall), _ratio(timing.cpu, base.cpu)
            lines.append(f"| {name} | {wall:.2f} | {slower[0]:.2f} | {cpu:.2f} | {slower[1]:.2f} |")
        lines += ["", "| once | CPU ms |", "|---|---|", *(f"| {name} | {ms:.1f} |" for name, ms in once.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "first-stage.md")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=101)
    given = parser.parse_args()
    results = {}
    for n in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            results[n] = compare(n, given.rounds, Path(folder))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(report(results, given.rounds), "utf-8")
    sys.stdout.write(report(results, given.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
