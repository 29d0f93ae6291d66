"""Eight readers check every snapshot by value while one writer adds, changes and removes pictures.

    python tests/benchmarks/readers_writer.py [--minutes M] [--readers N] [--out FILE]

Fails when a single answer was wrong. The writer never pauses, so the readers meet it in every state.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from shared_index import Writer, result, start_readers  # noqa: E402 - found beside this folder


def run(minutes: float, readers: int) -> tuple[Writer, list[dict], float]:
    """The writer at its end, what each reader found, and the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="mmretrieval-readers-") as folder:
        writer = Writer(Path(folder))
        writer.round()
        began = time.monotonic()
        processes = start_readers(writer.index, readers, minutes * 60)
        while any(process.poll() is None for process in processes):
            writer.round()
        seconds = time.monotonic() - began
        found = [result(process) for process in processes]
        writer.check_the_end()
    return writer, found, seconds


def report(writer: Writer, found: list[dict], seconds: float) -> str:
    """The report as Markdown."""
    opening = sorted(1e3 * each for reader in found for each in reader["open_seconds"])
    wrong = [each for reader in found for each in reader["wrong"]]
    lines = [
        "# Readers beside a writer",
        "",
        f"{len(found)} readers and one writer, a process each, on one index for {seconds / 60:.1f} minutes.",
        "The writer adds, changes and removes up to a dozen pictures a round, in batches of three, without a pause. A",
        "reader opens or refreshes a snapshot, checks it, holds it while the writer goes on, and checks it again:",
        "every vector against the seed of its picture, captions and ledger against the records, the mean against the",
        "rows, a search over the blocks on disk against a plain sort.",
        "",
        "| what | number |",
        "|---|---|",
        f"| rounds of the writer | {writer.rounds:,} |",
        f"| records it wrote or removed | {writer.changed:,} |",
        f"| snapshots checked, each twice | {sum(reader['snapshots'] for reader in found):,} |",
        f"| of them with something new | {sum(reader['fresh'] for reader in found):,} |",
        f"| records checked | {2 * sum(reader['records'] for reader in found):,} |",
        f"| **wrong answers** | **{len(wrong)}** |",
        f"| opening a snapshot, median ms | {statistics.median(opening):.1f} |",
        f"| opening a snapshot, slowest of a hundred, ms | {opening[int(len(opening) * 0.99)]:.1f} |",
        f"| largest write-ahead log, KiB | {writer.largest_log >> 10:,} |",
        "",
        (
            f"{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f}, Python "
            f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}."
        ),
        "Written by `tests/benchmarks/readers_writer.py`.",
        *([""] + [f"- {each}" for each in wrong[:20]] if wrong else []),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "readers-writer.md")
    given = parser.parse_args()
    writer, found, seconds = run(given.minutes, given.readers)
    text = report(writer, found, seconds)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if any(reader["wrong"] for reader in found) else 0


if __name__ == "__main__":
    sys.exit(main())
