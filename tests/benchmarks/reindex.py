"""What a second run over 10,000 unchanged files costs, beside walking the folder and asking for each file's size.

    python tests/benchmarks/reindex.py [--files N] [--rounds N] [--out FILE]

Both take turns within a round, so that a busy machine disturbs them alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from store_samples import SketchEncoder  # noqa: E402 - found beside this folder

from mmretrieval.indexing import index  # noqa: E402

PER_FOLDER = 100


def make_pictures(folder: Path, files: int) -> None:
    """Tiny pictures that all differ, a hundred to a folder, long ago."""
    pixels = np.random.default_rng(0).integers(0, 256, (files, 4, 4, 3), dtype=np.uint8)
    for number, each in enumerate(pixels):
        file = folder / f"{number // PER_FOLDER:03d}" / f"{number:05d}.bmp"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).save(file)
        os.utime(file, (1e9, 1e9))


def bare_walk(folder: str) -> tuple[int, int]:
    """Files and bytes below a folder by scandir and stat alone."""
    files = size = 0
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            more = bare_walk(entry.path)
            files, size = files + more[0], size + more[1]
        else:
            files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
    return files, size


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def measure(files: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(wall, CPU) milliseconds of every round by way; the first indexing alone is done once."""
    with tempfile.TemporaryDirectory(prefix="mmretrieval-reindex-") as folder:
        pictures, into = Path(folder) / "pictures", Path(folder) / "index"
        make_pictures(pictures, files)
        encoder = SketchEncoder()
        times = {"first run": [timed(lambda: index(pictures, into, encoder=encoder, batch_size=256))]}
        calls = len(encoder.calls)
        times |= {"bare walk": [], "unchanged run": []}
        for _ in range(rounds):
            times["bare walk"].append(timed(lambda: bare_walk(str(pictures))))
            times["unchanged run"].append(timed(lambda: index(pictures, into, encoder=encoder)))
        report = index(pictures, into, encoder=encoder)
        assert (report.unchanged, report.indexed, len(encoder.calls)) == (files, 0, calls)
        assert bare_walk(str(pictures))[0] == files
    return times


def report(times: dict[str, list[tuple[float, float]]], files: int, rounds: int) -> str:
    """The report as Markdown."""
    walk, again = times["bare walk"], times["unchanged run"]
    medians = {way: [statistics.median(each) for each in zip(*rows, strict=True)] for way, rows in times.items()}
    ratios = [statistics.median(a[at] / b[at] for a, b in zip(again, walk, strict=True)) for at in (0, 1)]
    return f"""# Indexing again when nothing changed

{files:,} files in {files // PER_FOLDER:,} folders. *Bare walk* is scandir and stat of every file and nothing else;
*unchanged run* is `mmretrieval.index` over an index that holds them all: lock, catalogue, ledger, scan, plan, report.
It reads no picture, encodes nothing and writes no record (checked). Medians of {rounds} rounds in which both take
turns, and medians of the rounds' ratios. *First run* encodes with the sketch encoder of the tests, so it shows the
cost of everything but a model.

| way | wall ms | CPU ms |
|---|---|---|
| bare walk | {medians["bare walk"][0]:.0f} | {medians["bare walk"][1]:.0f} |
| unchanged run | {medians["unchanged run"][0]:.0f} | {medians["unchanged run"][1]:.0f} |
| **ratio** | **{ratios[0]:.1f}** | **{ratios[1]:.1f}** |
| first run, once | {medians["first run"][0]:,.0f} | {medians["first run"][1]:,.0f} |

{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}:
on a busy machine believe the CPU time. Written by `tests/benchmarks/reindex.py`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "reindex.md")
    given = parser.parse_args()
    text = report(measure(given.files, given.rounds), given.files, given.rounds)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
