"""How long it takes to open a collection of millions, to search it by an id, and how much memory that holds.

    python tests/benchmarks/opening.py [--vectors N] [--dim D] [--index FOLDER] [--out FILE]

The vectors are short, since their length is not what is measured. With --index an index that stands is opened.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import mmretrieval as mm

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
READER = """
import json, sys, time
import numpy as np
from mmretrieval.collection import Collection

def held(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024

before, began, cpu = held("RssAnon"), time.perf_counter(), time.process_time()
def lap():
    return [time.perf_counter() - began, time.process_time() - cpu]
collection = Collection.open(sys.argv[1])
told = {"opened": lap()}
count = collection.count
told["counted"] = lap()
middle = collection.ids[count // 2]
position = collection.position(middle)
vector = collection.vectors("image", [middle])
told["vector of an id"] = lap()
records = collection.records_at(np.linspace(0, count - 1, 100).astype(np.int64))
told["100 records"] = lap()
assert (position, len(records), vector.shape[0]) == (count // 2, 100, 1)
print(json.dumps({"laps": told, "anon_mb": held("RssAnon") - before, "rss_mb": held("VmRSS"), "count": count}))
"""


def build(folder: Path, n: int, dim: int) -> None:
    """An index of ready vectors whose ids come in no order."""
    rng = np.random.default_rng(0)
    matrix = np.lib.format.open_memmap(folder / "F.npy", mode="w+", dtype=np.float16, shape=(n, dim))
    for start in range(0, n, 500_000):
        matrix[start : start + 500_000] = rng.standard_normal((min(500_000, n - start), dim), dtype=np.float32)
    del matrix
    (folder / "F.txt").write_text("".join(f"photo/{number:07d}\n" for number in rng.permutation(n)))
    mm.index_vectors(folder / "F.npy", folder / "F.txt", folder / "index")


def read(index: Path) -> dict:
    """What a fresh process needed."""
    done = subprocess.run([sys.executable, "-c", READER, index], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def report(rounds: list[dict], first: dict) -> str:
    """The report as Markdown."""
    table = "\n".join(
        f"| {step} | {statistics.median(each['laps'][step][0] for each in rounds):.2f} "
        f"| {statistics.median(each['laps'][step][1] for each in rounds):.2f} | {first['laps'][step][0]:.2f} |"
        for step in first["laps"]
    )
    anon = statistics.median(each["anon_mb"] for each in rounds)
    return f"""# Opening a collection of {first["count"]:,} records

Seconds since the start of opening, in a fresh process each time: the snapshot, the number of records, then position
and vector of one id, then a hundred records from all over. Medians of {len(rounds)} rounds. *Without files* is a reader
that finds no order of the ids in `cache/` and makes it, once.

| until | wall s | CPU s | without files, wall s |
|---|---|---|---|
{table}

Afterwards the process holds {anon:.0f} MB more memory of its own than before; {first["anon_mb"]:.0f} MB where it had to
make the files. Vectors and order are mapped and shared.

{os.cpu_count()} processors ({platform.machine()}), load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}:
on a busy machine believe the CPU time. Written by `tests/benchmarks/opening.py`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=5_000_000)
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "opening.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmretrieval-opening-") as folder:
        index = given.index or Path(folder) / "index"
        if given.index is None:
            build(Path(folder), given.vectors, given.dim)
        for file in (index / "cache" / "order").glob("*"):
            file.unlink()
        first = read(index)
        rounds = [read(index) for _ in range(ROUNDS)]
    text = report(rounds, first)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    given.out.with_suffix(".json").write_text(json.dumps({"first": first, "rounds": rounds}, indent=2) + "\n", "utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
