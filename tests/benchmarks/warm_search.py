"""What a warm search costs through the whole Python path, beside the bare FAISS call over the same vectors.

    python tests/benchmarks/warm_search.py [--vectors N] [--dim D] [--queries N] [--out FILE]

Both take turns with every query, so that a busy machine disturbs them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import mmretrieval as mm
from mmretrieval.vectors import unit_rows

ROOT = Path(__file__).resolve().parents[2]
TOP_K = 10
WARM_UP = 5  # searches before the first that counts

Times = dict[str, list[tuple[float, float]]]  # by way: wall and CPU milliseconds of every query


def clustered(n: int, dim: int) -> np.ndarray:
    """Vectors in clusters, as those of pictures are, float32."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(500, dim)).astype(np.float32)
    rows = rng.normal(size=(n, dim), scale=0.8).astype(np.float32)
    return rows + centres[rng.integers(0, len(centres), n)]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def measure(n: int, dim: int, queries: int) -> Times:
    """The bare calls, the index of this package alone, and the searcher; every hit is compared."""
    import faiss

    faiss.omp_set_num_threads(1)
    times: Times = {"IndexFlatIP": [], "IndexScalarQuantizer fp16": [], "index": [], "Searcher.search": []}
    with tempfile.TemporaryDirectory(prefix="mmretrieval-warm-") as folder:
        mm.index_vectors(clustered(n, dim), [f"picture/{number:07d}" for number in range(n)], Path(folder) / "index")
        with mm.Searcher.open(Path(folder) / "index", index_kind="exact") as searcher:
            rows = searcher.collection.rows()
            matrix = unit_rows(rows.take(np.arange(n)))
            flat = faiss.IndexFlatIP(dim)
            half = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
            for index in (flat, half):
                index.add(matrix)
            own = searcher.pipeline.first_stage.index
            chosen = np.random.default_rng(1).integers(0, n, WARM_UP + queries)
            for at in chosen.tolist():
                query, record_id = matrix[at : at + 1], searcher.ids[at]
                times["IndexFlatIP"].append(timed(lambda q=query: flat.search(q, TOP_K)))
                times["IndexScalarQuantizer fp16"].append(timed(lambda q=query: half.search(q, TOP_K)))
                times["index"].append(timed(lambda q=query: own.search(q, TOP_K)))
                times["Searcher.search"].append(timed(lambda i=record_id: searcher.search(image_id=i, top_k=TOP_K)))
                found = [searcher.collection.position(each) for each in searcher.search(image_id=record_id).ids]
                assert found == exact(matrix, at), f"query {at}"
    return {way: each[WARM_UP:] for way, each in times.items()}


def exact(matrix: np.ndarray, at: int) -> list[int]:
    """The ten nearest by a plain sort."""
    return np.argsort(-(matrix @ matrix[at]), kind="stable")[:TOP_K].tolist()


def summary(times: Times) -> dict[str, dict[str, float]]:
    """Medians by way, and the median ratio of the searcher's CPU and wall time to it."""
    searcher = times["Searcher.search"]
    return {
        way: {
            "wall_ms": statistics.median(wall for wall, _ in each),
            "cpu_ms": statistics.median(cpu for _, cpu in each),
            "searcher_cpu_ratio": statistics.median(a[1] / b[1] for a, b in zip(searcher, each, strict=True)),
            "searcher_wall_ratio": statistics.median(a[0] / b[0] for a, b in zip(searcher, each, strict=True)),
        }
        for way, each in times.items()
    }


def report(found: dict[str, dict[str, float]], n: int, dim: int, queries: int) -> str:
    """The report as Markdown."""
    table = "\n".join(
        f"| {way} | {row['wall_ms']:.2f} | {row['cpu_ms']:.2f} | **{row['searcher_cpu_ratio']:.2f}** "
        f"| {row['searcher_wall_ratio']:.2f} |"
        for way, row in found.items()
    )
    return f"""# Warm search through the whole Python path

{n:,} vectors of {dim} numbers, one query at a time, one thread, top {TOP_K}. *Searcher.search* takes the id of a
picture and gives a ranking: its stored vector, the exact index, refinement on the float16 rows, the records from the
catalogue, hits with shares and reasons. *index* is the index of this package alone. The others are bare `search`
calls of FAISS over the same rows in memory. Medians of {queries} queries in which all take turns; every ranking was
compared with a plain sort.

| way | wall ms | CPU ms | searcher / this, CPU | searcher / this, wall |
|---|---|---|---|---|
{table}

{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}:
on a busy machine believe the CPU time. Written by `tests/benchmarks/warm_search.py`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "warm-search.md")
    given = parser.parse_args()
    found = summary(measure(given.vectors, given.dim, given.queries))
    text = report(found, given.vectors, given.dim, given.queries)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    given.out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
