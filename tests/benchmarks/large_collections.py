"""What a million vectors and more cost: building, tuning, opening, one search, and the recall that comes out.

    OMP_NUM_THREADS=1 python tests/benchmarks/large_collections.py FOLDER [--rows N ...] [--kinds pq ...] [--out FILE]

FOLDER keeps the vectors (a kilobyte each) and the indexes; what lies there already is used again. The vectors have the
geometry of CLIP's: pictures in 2,000 clusters of 96 dimensions, noise of their own, and one mean for pictures and one
for texts, which lie far apart. Every step runs in a process of its own, so that its memory can be told. Five million
take an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mmretrieval import registry
from mmretrieval.indexes._scan import Span, scan
from mmretrieval.indexes._tuning import chosen, curve, like_pictures, measured
from mmretrieval.indexes.exact import Exact
from mmretrieval.segments import ROWS_PER_SEGMENT, Rows

ROOT = Path(__file__).resolve().parents[2]
DIM, LATENT, CLUSTERS, TOP_K = 512, 96, 2_000, 10
PICTURE, TEXT = 0, 1
SHARES = 0.45, 0.12, 0.43  # of a vector's square length: what it shows, noise of its own, the mean of its kind
BLOCK = 50_000
TUNED_ON, TRIED = 200, 200  # queries of each kind; none is in both
TARGET = 0.98
ONCE = """
## Tried once

Projecting a query onto the 256 directions in which the pictures vary most before lists are chosen, and refining with
the query as it is, was tried on 200,000 of these vectors in 256 lists, `pq` codes and 400 proposals. Recall of texts
with and without it: 0.808 and 0.804 for 32 lists, 0.917 and 0.914 for 64, 0.977 and 0.975 for 128. It was left out.
With 256 lists on the same vectors, half of them looked at and 200 proposals, texts found 0.976 with `pq` in 1.4 ms,
0.954 with `rabitq` in 2.8 ms, and 0.982 with two bits per number of RaBitQ in 5.7 ms; with 1,024 lists of eight bits
0.933 for an eighth of the lists in 2.6 ms. So the planner takes `pq`.
"""


def latent(count: int, rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    points = centres[rng.integers(0, CLUSTERS, count)] * 0.75
    return ((points + rng.standard_normal((count, LATENT), dtype=np.float32) * 0.66) / np.sqrt(LATENT)).astype(
        np.float32
    )


def world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The directions of what is shown, the centres of the clusters, and the means of both kinds."""
    rng = np.random.default_rng(7)
    axes = np.linalg.qr(rng.normal(size=(DIM, LATENT)))[0].T.astype(np.float32)
    centres = rng.normal(size=(CLUSTERS, LATENT)).astype(np.float32)
    return axes, centres, np.linalg.qr(rng.normal(size=(DIM, 2)))[0].T.astype(np.float32)


def vectors(points: np.ndarray, kind: int, rng: np.random.Generator, blur: float = 0.0) -> np.ndarray:
    """Unit rows that show these points; `blur` is how far words stray from what they describe."""
    axes, _, means = world()
    shown, own, mean = (share**0.5 for share in SHARES)
    rows = points @ axes * shown
    if blur:
        rows += (rng.standard_normal((len(points), LATENT), dtype=np.float32) / LATENT**0.5 * blur) @ axes
    rows += rng.standard_normal((len(points), DIM), dtype=np.float32) * own / DIM**0.5 + means[kind] * mean
    unit: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def make(folder: Path, n: int) -> None:
    """Writes rows.f16, and queries like texts that describe the first rows and like pictures that are not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    _, centres, _ = world()
    with (folder / "rows.part").open("wb") as file:
        for at in range(0, n, BLOCK):
            rng = np.random.default_rng(1000 + at // BLOCK)
            file.write(vectors(latent(min(BLOCK, n - at), rng, centres), PICTURE, rng).astype("<f2").tobytes())
    rng = np.random.default_rng(99)
    np.save(folder / "q_img.npy", vectors(latent(1000, rng, centres), PICTURE, rng))
    known = latent(min(BLOCK, n), np.random.default_rng(1000), centres)[:1000]
    np.save(folder / "q_txt.npy", vectors(known, TEXT, np.random.default_rng(5), blur=0.55))
    (folder / "rows.part").replace(folder / "rows.f16")


def opened(folder: Path) -> Rows:
    """The rows as an index folder has them: in segments of a million, mapped."""
    matrix = np.memmap(folder / "rows.f16", dtype="<f2", mode="r").reshape(-1, DIM)
    numbers = range(0, len(matrix), ROWS_PER_SEGMENT)
    segments = [(at // ROWS_PER_SEGMENT, matrix[at : at + ROWS_PER_SEGMENT]) for at in numbers]
    order = np.arange(len(matrix))
    return Rows(segments, np.stack([order // ROWS_PER_SEGMENT, order % ROWS_PER_SEGMENT], 1), dim=DIM, name="benchmark")


def queries(folder: Path, kind: str, first: int, count: int) -> np.ndarray:
    stored: np.ndarray = np.load(folder / f"q_{kind}.npy", allow_pickle=False)[first : first + count].astype(np.float32)
    return stored


def memory() -> dict[str, float]:
    """MiB of this process: resident now, of that its own rather than mapped files, and the highest so far."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    told = {name: int(lines[key].split()[0]) / 1024 for name, key in (("resident", "VmRSS"), ("own", "RssAnon"))}
    return {**told, "highest": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def build(folder: Path, kind: str) -> dict[str, Any]:
    """Build and tune one kind; memory is read after building, before anything else is in the process."""
    rows = opened(folder)
    index = registry.load("indexes", kind)(rows, folder / "cache")
    built, cost = timed(index.build)
    highest = memory()["highest"]

    def tune() -> Any:
        samples = {"image": like_pictures(rows, TUNED_ON), "text": measured(rows, queries(folder, "txt", 0, TUNED_ON))}
        return curve(index, built, samples, TARGET)

    points, tuning = timed(tune)
    point = chosen(points, TARGET)
    size = index.adopt(built, point.effort)
    return {
        "build": cost,
        "highest": highest,
        "tune": tuning,
        "bytes": size,
        "effort": point.effort._asdict(),
        "curve": [each.to_dict() for each in points],
    }


def truth(folder: Path) -> dict[str, list[list[int]]]:
    """The true ten of the queries that are tried; kept, as it costs a minute of computing."""
    file = folder / "truth.json"
    if not file.exists():
        rows = opened(folder)
        found = {kind: scan(rows, queries(folder, kind, TUNED_ON, TRIED), TOP_K, Span()) for kind in ("txt", "img")}
        file.write_text(json.dumps({kind: [each.tolist() for each, _ in some] for kind, some in found.items()}))
    kept: dict[str, list[list[int]]] = json.loads(file.read_text())
    return kept


def measure(folder: Path, kind: str) -> dict[str, Any]:
    """Open, search warm, and compare with exact search and with the bare reading of all rows, in turns."""
    some = {each: queries(folder, each, TUNED_ON, TRIED) for each in ("txt", "img")}

    def first_answer() -> tuple[Rows, Any]:
        rows = opened(folder)
        index = registry.load("indexes", kind)(rows, folder / "cache")
        index.search(some["txt"][:1], TOP_K)
        return rows, index

    (rows, index), cost = timed(first_answer)
    told: dict[str, Any] = {"open and first search": cost, "memory after opening": memory()}
    best = truth(folder)
    times: dict[str, list[float]] = {"txt": [], "img": []}
    recall = {}
    for each, matrix in some.items():
        hits = []
        for number, query in enumerate(matrix):
            (found,), cost = timed(lambda query=query: index.search(query[None], TOP_K))
            times[each].append(cost["cpu"] * 1e3)
            hits.append(len(np.intersect1d(found[0], best[each][number])) / TOP_K)
        recall[each] = statistics.mean(hits)
    told |= {"recall": recall, "ms": {each: statistics.median(values) for each, values in times.items()}}
    told["memory after searches"] = memory()
    told["filters"] = filtered(rows, index, some["txt"][:6])
    exact = Exact(rows)
    rounds = [
        (
            timed(lambda: read(rows))[1]["cpu"] * 1e3,
            timed(lambda at=at: exact.search(some["txt"][at : at + 1], TOP_K))[1]["cpu"] * 1e3,
        )
        for at in range(7)
    ]
    bound, scanned = (statistics.median(values) for values in zip(*rounds, strict=True))
    told |= {"bound ms": bound, "exact ms": scanned}
    told["exact to bound"] = statistics.median(ours / theirs for theirs, ours in rounds)
    return told


def read(rows: Rows) -> int:
    """Reads every byte of all rows once, and does next to nothing with it: what memory allows."""
    return max(int(matrix.reshape(-1).view(np.uint64).max()) for _, matrix in rows.stored_blocks(0, 16_384))


def filtered(rows: Rows, index: Any, some: np.ndarray) -> dict[str, Any]:
    """Recall and milliseconds of text-like queries behind filters that let a share of the rows pass."""
    told = {}
    for share in (0.5, 0.1, 0.01, 0.001):
        within = np.flatnonzero(np.random.default_rng(3).random(rows.n) < share)
        mask = np.zeros(rows.n, dtype=bool)
        mask[within] = True
        best = scan(rows, some, TOP_K, Span(0, mask))
        hits, times = [], []
        for query, (right, _) in zip(some, best, strict=True):
            (found,), cost = timed(lambda query=query, within=within: index.search(query[None], TOP_K, within=within))
            hits.append(len(np.intersect1d(found[0], right)) / TOP_K)
            times.append(cost["cpu"] * 1e3)
        told[str(share)] = {"recall": statistics.mean(hits), "ms": statistics.median(times)}
    return told


def apart(step: str, folder: Path, kind: str) -> dict[str, Any]:
    """One step in a process of its own."""
    command = [sys.executable, __file__, str(folder), "--step", step, "--kinds", kind]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def results_of(folder: Path, kind: str) -> dict[str, Any]:
    if not (folder / f"{kind}.built.json").exists():
        (folder / f"{kind}.built.json").write_text(json.dumps(apart("build", folder, kind)))
    return {**json.loads((folder / f"{kind}.built.json").read_text()), **apart("measure", folder, kind)}


def report(results: dict[int, dict[str, dict[str, Any]]]) -> str:
    """The report as Markdown."""
    head = f"""# Large collections

Vectors of {DIM} numbers as float16, with the geometry of CLIP's: clusters, noise, and a mean of their own for pictures
and for texts. An index proposes rows and the float16 rows decide; its effort was tuned to a recall@10 of {TARGET} on
{TUNED_ON} queries like texts and {TUNED_ON} like pictures, and the recalls below are those of {TRIED} others of each.
*bound* is the time in which every byte of the rows is read once and nothing else done. Times of searches are medians
of CPU milliseconds of one query on one core, measured in one process; memory in MiB, *own* without mapped files.
On a busy machine believe the CPU time: the seconds of opening in particular are mostly waiting for a processor.
{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f}, NumPy {version("numpy")}, FAISS
{version("faiss-cpu")}. Written by `tests/benchmarks/large_collections.py`.
"""
    lines = [head.rstrip()]
    for n, kinds in results.items():
        some = next(iter(kinds.values()))
        lines += ["", f"## {n:,} vectors", "", f"All rows read once: {some['bound ms']:.0f} ms."]
        lines += [f"Exact search: {some['exact ms']:.0f} ms, {some['exact to bound']:.2f} times that.", ""]
        lines += [row(["", *kinds]), row(["---"] * (len(kinds) + 1))]
        columns = [facts(told) for told in kinds.values()]
        lines += [row([name, *(column[name] for column in columns)]) for name in columns[0]]
        for kind, told in kinds.items():
            lines += ["", f"How `{kind}` was tuned:", ""]
            lines += [row(["reach", "fetch", "recall texts", "recall pictures", "ms"]), row(["---"] * 5)]
            for each in told["curve"]:
                recall = [f"{each['recall'][some]:.4f}" for some in ("text", "image")]
                lines.append(row([each["reach"], each["fetch"], *recall, f"{each['milliseconds']:.1f}"]))
    return "\n".join(lines) + "\n" + ONCE


def row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def facts(told: dict[str, Any]) -> dict[str, str]:
    """What stands in a column of the table."""
    after, opening = told["memory after searches"], told["open and first search"]
    return {
        "build, CPU s": f"{told['build']['cpu']:.0f}",
        "highest memory while building, with the mapped rows, MiB": f"{told['highest']:.0f}",
        "tuning, CPU s": f"{told['tune']['cpu']:.0f}",
        "index file, MB": f"{told['bytes'] / 1e6:.0f}",
        "reach and fetch": f"{told['effort']['reach']}, {told['effort']['fetch']}",
        "recall@10, texts": f"{told['recall']['txt']:.4f}",
        "recall@10, pictures": f"{told['recall']['img']:.4f}",
        "one search, ms": f"{told['ms']['txt']:.1f}",
        "times faster than exact": f"{told['exact ms'] / told['ms']['txt']:.0f}",
        "opening and first search, s (CPU s)": f"{opening['wall']:.2f} ({opening['cpu']:.2f})",
        "memory after 400 searches, MiB (own)": f"{after['resident']:.0f} ({after['own']:.0f})",
        **{
            f"filter that lets {share} pass: recall, ms": f"{each['recall']:.3f}, {each['ms']:.0f}"
            for share, each in told["filters"].items()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--kinds", nargs="+", default=["pq"])
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "large-collections.md")
    parser.add_argument("--step", choices=["build", "measure"])
    given = parser.parse_args()
    if given.step:
        sys.stdout.write(json.dumps({"build": build, "measure": measure}[given.step](given.folder, given.kinds[0])))
        return 0
    results: dict[int, dict[str, dict[str, Any]]] = {}
    for n in given.rows:
        folder = given.folder / str(n)
        if not (folder / "rows.f16").exists():
            make(folder, n)
        results[n] = {kind: results_of(folder, kind) for kind in given.kinds}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(report(results), "utf-8")
        given.out.with_suffix(".json").write_text(json.dumps(results, indent=1), "utf-8")
    sys.stdout.write(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
