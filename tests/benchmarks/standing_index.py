"""How an index that stands opens and answers, beside exact search over the same rows: for collections of millions.

    mmretrieval index --vectors F.npy --ids F.txt --index IDX --text-vectors Q.npy --recall 0.98
    python tests/benchmarks/standing_index.py IDX QUERIES.npy

QUERIES.npy holds vectors like those of texts. Without arguments a small index of random clusters is made and measured,
and its report printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import mmretrieval as mm
from mmretrieval.searcher import Searcher

REPORT = Path(__file__).parents[2] / "assets" / "reports" / "standing-index.md"
QUERIES, COMPARED = 100, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, nargs="?")
    parser.add_argument("queries", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=REPORT)
    asked = parser.parse_args()
    if asked.index is not None:
        asked.out.write_text(measured(asked.index, np.load(asked.queries, allow_pickle=False)), "utf-8")
        return
    with tempfile.TemporaryDirectory() as work:
        index, queries = small(Path(work))
        sys.stdout.write(measured(index, queries))


def small(work: Path) -> tuple[Path, np.ndarray]:
    """An index above the size that is searched exactly, and queries beside its rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 64))[rng.integers(0, 500, 250_000)] + rng.normal(size=(250_000, 64), scale=0.8)
    queries = rows[:: len(rows) // 400] + rng.normal(size=64, scale=0.5)
    np.save(work / "rows.npy", rows.astype(np.float16))
    (work / "ids.txt").write_text("".join(f"v{number}\n" for number in range(len(rows))), "utf-8")
    mm.index_vectors(work / "rows.npy", work / "ids.txt", work / "index")
    mm.prepare(work / "index", text_vectors=queries[:200])
    return work / "index", queries


def measured(index: Path, queries: np.ndarray) -> str:
    """The report on an index."""
    queries = queries.astype(np.float32)
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True))[-QUERIES:]
    wall, cpu = time.perf_counter(), time.process_time()
    with Searcher.open(index) as searcher:
        searcher.search(image=queries[0])
        opened = time.perf_counter() - wall, time.process_time() - cpu
        found, seconds = timed(searcher, queries)
        resident = psutil.Process().memory_info().rss
        plan, rows = searcher.collection.plan, searcher.collection.rows("image")
    with Searcher.open(index, index_kind="exact") as searcher:
        searcher.search(image=queries[0])
        truth, exact = timed(searcher, queries[:COMPARED])
    recall = statistics.fmean(len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=False))
    return report(rows.n, rows.dim, plan, opened, seconds, exact, recall, resident)


def timed(searcher: Searcher, queries: np.ndarray) -> tuple[list[list[str]], float]:
    """The ids found, and the median CPU seconds of one search."""
    found, seconds = [], []
    for query in queries:
        began = time.process_time()
        found.append(searcher.search(image=query).ids)
        seconds.append(time.process_time() - began)
    return found, statistics.median(seconds)


def report(n, dim, plan, opened, seconds, exact, recall, resident) -> str:  # type: ignore[no-untyped-def]
    tuned = plan["recall"]
    lines = [
        "# An index as the command line made it",
        "",
        f"{n:,} ready vectors of {dim} numbers, indexed by `mmretrieval index --vectors` and searched by",
        "`Searcher.search` with vectors like those of texts, top 10, one after the other on one core.",
        '*Exact* is the same searcher with `index_kind="exact"`; recall is measured against it. Some queries may',
        "be among those it was tuned on. The files were in memory; straight from disk the first search waits for them.",
        "",
        "| | |",
        "|---|---|",
        f"| kind | `{plan['kind']}`, {plan['bytes'] / 1e6:,.0f} MB |",
        f"| recall@10 when it was tuned, texts and pictures | {tuned['text']:.3f}, {tuned['image']:.3f} |",
        f"| open and first search, wall s (CPU s) | {opened[0]:.2f} ({opened[1]:.2f}) |",
        f"| one search, CPU ms, median of {QUERIES} | {1000 * seconds:.1f} |",
        f"| exact, CPU ms, median of {COMPARED} | {1000 * exact:.0f} |",
        f"| times faster | {exact / seconds:.0f} |",
        f"| recall@10 of {COMPARED} queries | {recall:.3f} |",
        f"| resident after the searches, mapped files included, MiB | {resident / 2**20:,.0f} |",
        "",
        f"{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f},",
        f"Python {platform.python_version()}. Written by `tests/benchmarks/standing_index.py`.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
