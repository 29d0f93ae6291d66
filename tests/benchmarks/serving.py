"""What a server bears: 50 clients for two minutes over 100,000 vectors, its memory over 5,000 searches, a first paint.

    OMP_NUM_THREADS=1 python tests/benchmarks/serving.py FOLDER [--seconds S] [--clients N] [--searches N] [--out FILE]

FOLDER keeps the collection; what lies there already is used again. Server and clients share this machine, so beside
the time by the clock stands the CPU time of each process. What the encoder alone can do is measured in the same run,
before and after the load.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import serving_clients as clients
import serving_collection as collection
from serving_page import visits
from serving_report import report

import mmretrieval as mm

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
TOGETHER = 50  # texts encoded at once, for the second limit
EVERY = 250  # searches between two looks at the memory
WARM_UP = 500  # searches that are not counted


@contextmanager
def server(index: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A warm server in a process of its own, as a user starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "mmretrieval",
        "serve",
        "--index",
        str(index),
        "--port",
        str(port),
        "--rate",
        "100000",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + PATIENCE
            while not is_ready(address):
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.5)
            yield address, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def is_ready(address: str) -> bool:
    try:
        return httpx.post(f"{address}{clients.SEARCH}", json={"text": "warm"}, timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def own_memory(process: psutil.Process) -> float:
    """MiB of the process's own, without files that it maps."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024


def limits(encoder: Any, texts: Iterator[str], seconds: float) -> dict[str, dict[str, float]]:
    """Texts a second and CPU milliseconds of each, one at a time and together."""
    told = {}
    for name, size in (("alone", 1), ("together", TOGETHER)):
        done, wall, began = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < seconds:
            encoder.encode_texts(list(itertools.islice(texts, size)))
            done += size
        told[name] = {
            "per_second": done / (time.perf_counter() - wall),
            "cpu_ms": (time.process_time() - began) / done * 1e3,
        }
    return told


def load(address: str, process: psutil.Process, encoder: Any, texts: Iterator[str], given: Any) -> dict[str, Any]:
    """The limits, the load, the limits again; and the same answers as the Python API gives?"""
    ours = (text for text in texts)
    clients.for_a_while(address, clients.word_searches(ours), given.clients, min(10.0, given.seconds / 4))
    before, began = limits(encoder, ours, given.seconds / 12), cpu(process)
    answers = clients.for_a_while(address, clients.word_searches(ours), given.clients, given.seconds)
    spent = cpu(process) - began
    after = limits(encoder, ours, given.seconds / 12)
    done = len(answers.seconds)
    mean = {
        name: {key: statistics.mean((before[name][key], after[name][key])) for key in before[name]} for name in before
    }
    return {
        "clients": given.clients,
        "seconds": answers.wall,
        "searches": done,
        "wrong": dict(answers.wrong),
        "per_second": done / answers.wall,
        "ms": quantiles(answers.seconds),
        "server_cpu_ms": spent / done * 1e3,
        "client_cpu_ms": answers.cpu / done * 1e3,
        "server_cores": spent / answers.wall,
        "encoder": mean,
        "ratio": {name: done / answers.wall / each["per_second"] for name, each in mean.items()},
        "cpu_ratio": {name: each["cpu_ms"] / (spent / done * 1e3) for name, each in mean.items()},
        "kept": answers.kept,
    }


def quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {name: cuts[at - 1] * 1e3 for name, at in (("p50", 50), ("p95", 95), ("p99", 99))} | {
        "max": max(seconds) * 1e3
    }


def agreeing(kept: dict[str, list[str]], searcher: mm.Searcher) -> dict[str, int]:
    """How many kept answers are those of the Python API, hit by hit."""
    same = sum(searcher.search(text, top_k=clients.TOP_K).ids == ids for text, ids in kept.items())
    return {"compared": len(kept), "same": same}


def memory(address: str, process: psutil.Process, texts: Iterator[str], ids: list[str], count: int) -> dict[str, Any]:
    """MiB of the server's own after warming up, and after every so many searches of all kinds."""
    picture = min((ROOT / "assets").rglob("*.png")).read_bytes()
    sent = httpx.post(f"{address}/api/v1/uploads", files={"picture": ("picture.png", picture)}, timeout=60.0)
    sent.raise_for_status()
    bodies = clients.mixed(texts, ids, sent.json()["token"])
    clients.so_many(address, bodies, WARM_UP, 8, EVERY, lambda: 0.0)
    answers, seen = clients.so_many(address, bodies, count, 8, EVERY, lambda: own_memory(process))
    return {"searches": len(answers.seconds), "wrong": dict(answers.wrong), "every": EVERY, "mib": seen}


def lone(address: str, texts: Iterator[str]) -> dict[str, Any]:
    """One client alone, one search after the other."""
    answers = clients.one_by_one(address, clients.word_searches(texts), 200)
    return {"searches": len(answers.seconds), "wrong": dict(answers.wrong), "ms": quantiles(answers.seconds)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "serving")
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--searches", type=int, default=5_000)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "serving.md")
    given = parser.parse_args()
    index, texts = collection.make(given.folder, given.vectors), collection.texts()
    with mm.Searcher.open(index) as searcher, server(index) as (address, process):
        encoder = searcher.pipeline.first_stage.encoder
        encoder.encode_texts(["warm"])
        found: dict[str, Any] = {"vectors": given.vectors}
        for part, measured in (
            ("lone", lambda: lone(address, texts)),
            ("load", lambda: load(address, process, encoder, texts, given)),
            ("lone after", lambda: lone(address, texts)),
            ("memory", lambda: memory(address, process, texts, list(searcher.ids), given.searches)),
            ("page", lambda: visits(address)),
        ):
            found[part] = measured()
            sys.stderr.write(f"{part}: {json.dumps(found[part])}\n")
        found["load"]["agreement"] = agreeing(found["load"].pop("kept"), searcher)
    found["machine"] = {
        "processors": os.cpu_count(),
        "kind": platform.machine(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }
    text = report(found)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    given.out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
