"""mmretrieval beside what one would use instead: a sentence-transformers and FAISS script, and rclip's search loop.

    python tests/benchmarks/side_by_side.py [--pictures N] [--sizes N N N] [--rounds N] [--out FILE]

All take a ViT-B/32 with random weights from disk and the same pictures, in one run, one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

import mmretrieval as mm  # noqa: E402

DIM = 512
WORDS = "two bowls of tomato soup on a wooden table"


def write_sentence_model(folder: Path) -> Path:
    """A CLIP of the transformers library as sentence-transformers loads it: the same architecture, random weights."""
    import torch
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    folder.mkdir()
    known = SimpleTokenizer()
    pairs = sorted(known.bpe_ranks, key=known.bpe_ranks.get)
    marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {marks.get(token, token): number for token, number in known.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs), "utf-8")
    torch.manual_seed(0)
    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(), CLIPTokenizer.from_pretrained(folder)).save_pretrained(folder)
    return folder


def script_index(model: str, pictures: str, out: str) -> None:
    """What one writes in twenty lines: load, encode in batches, add to FAISS, save."""
    import faiss
    from sentence_transformers import SentenceTransformer

    clip = SentenceTransformer(model, device="cpu")
    files = sorted(str(path) for path in Path(pictures).rglob("*.jpg"))
    index = faiss.IndexFlatIP(DIM)
    for at in range(0, len(files), 32):
        images = [Image.open(file) for file in files[at : at + 32]]
        index.add(clip.encode(images, batch_size=32, normalize_embeddings=True))
    Path(out).mkdir(exist_ok=True)
    faiss.write_index(index, f"{out}/vectors.faiss")
    Path(out, "files.json").write_text(json.dumps(files), "utf-8")


def script_open(model: str, out: str) -> Callable[[str], list[tuple[str, float]]]:
    """The other twenty lines: load the model and what was saved; returns the search."""
    import faiss
    from sentence_transformers import SentenceTransformer

    clip = SentenceTransformer(model, device="cpu")
    index = faiss.read_index(f"{out}/vectors.faiss")
    files = json.loads(Path(out, "files.json").read_text("utf-8"))

    def search(text: str) -> list[tuple[str, float]]:
        scores, rows = index.search(clip.encode([text], normalize_embeddings=True), 10)
        return [(files[row], float(score)) for row, score in zip(rows[0], scores[0], strict=True)]

    return search


def script_search(model: str, out: str) -> None:
    sys.stdout.write(f"{script_open(model, out)(WORDS)}\n")


def write_loop_table(place: Path, rows: np.ndarray) -> None:
    """rclip's table: one row a picture, its float32 vector as a blob."""
    with sqlite3.connect(place) as table:
        table.execute("CREATE TABLE images (id INTEGER PRIMARY KEY, deleted BOOLEAN, filepath TEXT NOT NULL UNIQUE,"
                      " modified_at DATETIME, size INTEGER, vector BLOB NOT NULL)")  # fmt: skip
        table.executemany(
            "INSERT INTO images (filepath, modified_at, size, vector) VALUES (?, 0, 0, ?)",
            ((f"/photos/{number:07d}.jpg", row.tobytes()) for number, row in enumerate(rows)),
        )
    table.close()


def loop_search(place: Path, encode: Callable[[str], np.ndarray]) -> list[tuple[str, float]]:
    """What rclip does for every query: all blobs to one matrix, all scores to a list, the list sorted in Python."""
    table = sqlite3.connect(place)
    names, blobs = [], []
    asked = "SELECT filepath, vector FROM images WHERE filepath LIKE '/photos/%' AND deleted IS NULL"
    for name, blob in table.execute(asked):
        names.append(name)
        blobs.append(np.frombuffer(blob, np.float32))
    table.close()
    scores = (encode(WORDS) @ np.stack(blobs).T).tolist()
    ordered = sorted(zip(scores, range(len(names)), strict=True), key=lambda pair: pair[0], reverse=True)
    return [(names[row], score) for score, row in islice(ordered, 10)]


def loop_process(spec: str, place: str) -> None:
    """One search of rclip's kind in a process of its own, with the quickest encoder at hand: ours through ONNX."""
    encoder = mm.open_encoder(spec)
    sys.stdout.write(f"{loop_search(Path(place), lambda text: encoder.encode_texts([text])[0])}\n")


def timed(work: Callable[[], object], rounds: int = 1) -> tuple[float, float]:
    """CPU and wall seconds: medians."""
    costs = []
    for _ in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        costs.append((time.process_time() - cpu, time.perf_counter() - wall))
    return statistics.median(cpu for cpu, _ in costs), statistics.median(wall for _, wall in costs)


def process(command: list[str], rounds: int) -> tuple[float, float]:
    """CPU and wall seconds of a process of its own: medians, after one round that warms the disk."""
    costs = []
    for _ in range(rounds + 1):
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        costs.append((spent, time.perf_counter() - wall))
    costs = costs[1:]
    return statistics.median(cpu for cpu, _ in costs), statistics.median(wall for _, wall in costs)


def size_of(place: Path) -> int:
    return (
        sum(each.stat().st_size for each in place.rglob("*") if each.is_file())
        if place.is_dir()
        else place.stat().st_size
    )


def indexing(place: Path, models: SimpleNamespace, pictures: int) -> dict:
    """Seconds to index the pictures, and to do it again when nothing changed; the models' loading is left out."""
    from indexing_speed import write_photographs  # beside this file; it loads torch, which not every part may

    (place / "photos").mkdir()
    write_photographs(place / "photos", pictures)
    script_open_cost = timed(lambda: __import__("sentence_transformers").SentenceTransformer(models.sentence))
    script = timed(lambda: script_index(models.sentence, str(place / "photos"), str(place / "script")))
    script = tuple(max(whole - load, 0.0) for whole, load in zip(script, script_open_cost, strict=True))
    told = {"sentence-transformers + FAISS": {"index": script, "again": script}}
    for name, spec in models.ours.items():
        encoder = mm.open_encoder(spec, device="cpu")
        encoder.encode_images([Image.new("RGB", (300, 224))])
        index = place / f"{name}.index"
        told[name] = {
            "index": timed(lambda index=index, encoder=encoder: mm.index(place / "photos", index, encoder)),
            "again": timed(lambda index=index, encoder=encoder: mm.index(place / "photos", index, encoder), 3),
        }
    return told


def searching(place: Path, models: SimpleNamespace, size: int, rounds: int) -> dict:
    """CPU and wall seconds of a search by words over that many vectors, in a new process and in one that stays."""
    import faiss

    here = Path(__file__).resolve()
    rng = np.random.default_rng(size)
    rows = rng.standard_normal((size, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    told = {}

    out = place / f"script-{size}"
    out.mkdir()
    plain = faiss.IndexFlatIP(DIM)
    plain.add(rows)
    faiss.write_index(plain, str(out / "vectors.faiss"))
    (out / "files.json").write_text(json.dumps([f"/photos/{n:07d}.jpg" for n in range(size)]), "utf-8")
    faiss.omp_set_num_threads(1)
    search = script_open(models.sentence, str(out))
    search(WORDS)
    told["sentence-transformers + FAISS"] = {
        "cold": process([str(here), "--part", "script", models.sentence, str(out)], rounds),
        "warm": timed(lambda: search(WORDS), 3 * rounds),
        "bytes": size_of(out),
    }

    table = place / f"loop-{size}.sqlite"
    write_loop_table(table, rows)
    encoder = mm.open_encoder(models.onnx)
    encode = lambda text: encoder.encode_texts([text])[0]  # noqa: E731 - one line, used twice
    loop_search(table, encode)
    told["rclip's loop"] = {
        "cold": process([str(here), "--part", "loop", models.onnx, str(table)], rounds),
        "warm": timed(lambda: loop_search(table, encode), 3 * rounds),
        "bytes": size_of(table),
    }

    from mmretrieval.indexing_vectors import index_vectors

    index = place / f"ours-{size}.index"
    index_vectors(rows, [f"p{n:07d}" for n in range(size)], index, encoder)
    with mm.Searcher.open(index, encoder=encoder) as searcher:
        searcher.search(WORDS)
        warm = timed(lambda: searcher.search(WORDS), 3 * rounds)
    command = ["-m", "mmretrieval", "search", WORDS, "--index", str(index), "--encoder", models.onnx]
    told["mmretrieval, onnx"] = {"cold": process(command, rounds), "warm": warm, "bytes": size_of(index)}
    return told


def report(told: dict) -> str:
    sizes = list(told["searching"])
    pictures, last = told["pictures"], sizes[-1]
    first_rows = [
        f"| {name} | {each['index'][0] / pictures * 1e3:.0f} | {each['index'][1] / pictures * 1e3:.0f} |"
        f" {each['again'][0]:.2f} |"
        for name, each in told["indexing"].items()
    ]
    rows = []
    for name in told["searching"][last]:
        each = [told["searching"][size][name] for size in sizes]
        cold = " | ".join(f"{one['cold'][0]:.2f}" for one in each)
        warm = " | ".join(f"{one['warm'][0] * 1e3:.0f}" for one in each)
        rows.append(f"| {name} | {cold} | {warm} | {each[-1]['bytes'] / 1e6:,.0f} |")
    heads = [f"{int(size):,}" for size in sizes]
    colds, warms = ("".join(f" {word} {head} |" for head in heads) for word in ("cold, CPU s, ", "warm, CPU ms, "))
    return "\n".join(
        [
            "# Side by side with what one would use instead",
            "",
            f"One run, one thread, a ViT-B/32 with random weights, {pictures} JPEGs of 12 megapixels.",
            "",
            "| indexing | CPU ms a picture | wall ms a picture | again after no change, CPU s |",
            "|---|---|---|---|",
            *first_rows,
            "",
            f"| search by words |{colds}{warms} MB on disk, {heads[-1]} |",
            f"|---|{'---|' * (2 * len(sizes) + 1)}",
            *rows,
            "",
            "*sentence-transformers + FAISS* is a script as one would write it: `SentenceTransformer.encode` in",
            "batches of 32, `IndexFlatIP`, a JSON list of names; after a change it encodes everything again. Its",
            "CLIP has the same architecture and other random weights, since the two libraries store them",
            "differently. *rclip's loop* is what rclip does for each query as published: the vectors of all rows",
            "from SQLite, `np.stack`, a product, a Python sort; words are encoded by our ONNX text tower, so that",
            "only the loop differs. *cold*: a new process, from starting Python to the printed answer. *warm*:",
            "one that stays, encoding the words included. Loading a model does not count as indexing. Vectors of",
            "the searches are random; medians.",
            "",
            f"{os.cpu_count()} processors ({platform.machine()}), load {told['load'][0]:.1f} at the start and",
            f"{told['load'][1]:.1f} at the end, Python {platform.python_version()}: on a busy machine believe the",
            "CPU time. Written by `tests/benchmarks/side_by_side.py`.",
            "",
        ]
    )


def measure(place: Path, pictures: int, sizes: list[int], rounds: int) -> dict:
    from indexing_speed import write_model

    load = os.getloadavg()[0]
    model = write_model(place / "model")
    onnx = f"onnx:local-dir:{model}"
    ours = {
        "mmretrieval, torch": f"local-dir:{model}",
        "mmretrieval, onnx": onnx,
        "mmretrieval, onnx, eight bits": f"{onnx}:int8",
    }
    models = SimpleNamespace(sentence=str(write_sentence_model(place / "sentence")), onnx=onnx, ours=ours)
    return {
        "pictures": pictures,
        "indexing": indexing(place, models, pictures),
        "searching": {str(size): searching(place, models, size, rounds) for size in sizes},
        "load": [load, os.getloadavg()[0]],
    }


def main() -> int:
    parts = {"script": script_search, "loop": loop_process}
    if len(sys.argv) > 2 and sys.argv[1] == "--part":  # this file again, as the process that is timed
        parts[sys.argv[2]](*sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "side-by-side.md")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    os.environ.setdefault("XDG_CACHE_HOME", str(place / "cache"))
    try:
        told = measure(place, given.pictures, given.sizes, given.rounds)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    given.out.write_text(report(told), encoding="utf-8")
    sys.stdout.write(report(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
