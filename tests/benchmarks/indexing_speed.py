"""Indexing photographs of 12 megapixels with a ViT-B/32: the plain loop, and mmretrieval in torch and with eight bits.

    python tests/benchmarks/indexing_speed.py [--pictures N] [--torch-pictures N] [--naive N] [--out FILE]

The model has random weights, saved and loaded as real ones are; what a vector means does not change what it costs.
Everything runs in this process, one encoder thread, so CPU time is the whole process's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ["OMP_NUM_THREADS"] = "1"  # before torch looks; the decoders have the other core

import numpy as np  # noqa: E402
import open_clip  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import mmretrieval as mm  # noqa: E402
from mmretrieval.images import decode  # noqa: E402
from mmretrieval.protocols import Encoder  # noqa: E402

DISTINCT = 12
MODEL = "ViT-B-32"


def write_model(folder: Path) -> Path:
    """A ViT-B/32 with random weights in open_clip's folder format."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    config = open_clip.get_model_config(MODEL)
    model = open_clip.CLIP(**config)
    save_file(
        {name: each.contiguous() for name, each in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    scaling = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    told = {"model_cfg": config, "preprocess_cfg": {**scaling, "interpolation": "bicubic", "resize_mode": "shortest"}}
    (folder / "open_clip_config.json").write_text(json.dumps(told), "utf-8")
    return folder


def write_photographs(folder: Path, number: int) -> float:
    """JPEGs of 4000 x 3000 with the spectrum of photographs and a little grain; returns their mean size in bytes.

    A few are drawn. The others are the same with another comment in the file, so they cost the same and are no
    duplicates to an index, which compares bytes.
    """
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(min(DISTINCT, number)):
        frequency = np.hypot(np.fft.fftfreq(750)[:, None], np.fft.rfftfreq(1000)[None])
        noise = np.fft.rfft2(rng.standard_normal((3, 750, 1000))) / np.maximum(frequency, 1e-3)
        smooth = np.moveaxis(np.fft.irfft2(noise, s=(750, 1000)), 0, -1)
        colours = (smooth - smooth.mean()) / smooth.std() * 55 + 120
        large = Image.fromarray(colours.clip(0, 255).astype(np.uint8)).resize((4000, 3000), Image.Resampling.BICUBIC)
        grainy = np.asarray(large, dtype=np.int16) + rng.integers(-4, 5, (3000, 4000, 1), dtype=np.int16)
        file = BytesIO()
        Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        drawn.append(file.getvalue())
    for each in range(number):
        note = f"picture {each}".encode()
        comment = b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note
        data = drawn[each % len(drawn)]
        (folder / f"{each:05d}.jpg").write_bytes(data[:2] + comment + data[2:])
    return statistics.mean(map(len, drawn))


class Watched(Encoder):
    """Another encoder, and how long it was at work: wall seconds, and CPU seconds of the calling thread."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.wall, self.cpu = encoder, 0.0, 0.0
        self.spec, self.dim, self.input_size = encoder.spec, encoder.dim, encoder.input_size

    @property
    def fingerprint(self):
        return self.encoder.fingerprint

    def encode_images(self, images):
        wall, cpu = time.perf_counter(), time.thread_time()
        rows = self.encoder.encode_images(images)
        self.wall += time.perf_counter() - wall
        self.cpu += time.thread_time() - cpu
        return rows

    def encode_texts(self, texts):
        return self.encoder.encode_texts(texts)

    def too_long(self, texts):
        return self.encoder.too_long(texts)


def naive(folder: Path, model: Path, number: int) -> float:
    """CPU seconds per picture of the loop one writes first: open, transform, encode, one by one, in float32."""
    name = f"local-dir:{model}"
    clip, _, transform = open_clip.create_model_and_transforms(name)
    clip.eval()
    files = sorted(folder.glob("*.jpg"))[: number + 1]
    costs = []
    for file in files:
        began = time.process_time()
        with torch.inference_mode():
            features = clip.encode_image(transform(Image.open(file).convert("RGB"))[None])
            features / features.norm(dim=-1, keepdim=True)
        costs.append(time.process_time() - began)
    return statistics.mean(costs[1:])


def indexed(folder: Path, index: Path, spec: str) -> dict[str, float]:
    """Seconds per picture of indexing a folder: CPU, wall, and of these the encoder's own wall seconds."""
    encoder = Watched(mm.open_encoder(spec, device="cpu"))
    encoder.encode_images([Image.new("RGB", (300, 224))])
    encoder.encode_texts(["a dog"])
    encoder.wall = encoder.cpu = 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    report = mm.index(folder, index, encoder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if report.skipped or report.duplicates:
        raise SystemExit(f"{len(report.skipped)} pictures were skipped and {report.duplicates} were duplicates")
    count = report.indexed
    return {"cpu": cpu / count, "wall": wall / count, "encoder": encoder.wall / count}


def profile(folder: Path, specs: dict[str, str]) -> dict[str, float]:
    """CPU milliseconds per picture of each piece of work, one after the other on one thread; medians."""
    files = sorted(folder.glob("*.jpg"))[:DISTINCT]
    data = [file.read_bytes() for file in files]
    pictures = [decode(each, shown="", min_side=224).image for each in data]
    work: dict[str, Callable[[int], object]] = {
        "read the file": lambda n: files[n].read_bytes(),
        "hash it": lambda n: hashlib.blake2b(data[n], digest_size=16).digest(),
        "decode and check it": lambda n: decode(data[n], shown="", min_side=224),
        "for comparison: decode it in full": lambda n: Image.open(BytesIO(data[n])).convert("RGB"),
    }
    for name, spec in specs.items():
        encoder = mm.open_encoder(spec, device="cpu")
        encoder.encode_images(pictures[:1])
        work[f"scale and encode it, {name}"] = lambda n, encoder=encoder: encoder.encode_images([pictures[n]])
    return {name: statistics.median(cost(each, n) for n in range(len(files))) * 1e3 for name, each in work.items()}


def cost(work: Callable[[int], object], number: int) -> float:
    began = time.process_time()
    work(number)
    return time.process_time() - began


def report(told: dict) -> str:
    base = told["naive"]
    lines = [
        f"| {name} | {each['count']:,} | {each['cpu'] * 1e3:.0f} | {each['cpu'] * told['pictures']:,.0f} |"
        f" **{base['cpu'] / each['cpu']:.1f}** | {each.get('share', '')} |"
        for name, each in told["ways"].items()
    ]
    pieces = [f"| {name} | {value:.1f} |" for name, value in told["profile"].items()]
    return "\n".join(
        [
            "# What indexing photographs of 12 megapixels costs",
            "",
            f"{told['pictures']:,} JPEGs of 4000 x 3000 pixels and {told['bytes'] / 1e6:.1f} MB each ({DISTINCT}",
            "different ones, the others with another comment in the file), a ViT-B/32 with random weights loaded",
            "from disk in open_clip's format, one encoder thread. CPU time is that of the whole process, all",
            "threads together.",
            "",
            "| way | pictures run | CPU ms a picture | CPU s for all | times less | encoder at work |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
            "*Plain loop*, the base of *times less*: decode in full, open_clip's transform, torch in float32, one",
            "by one. Each way ran over the number of pictures in the table; seconds for all are extrapolated from",
            "it. Wanted were 2 times less on torch and 5 times less with eight bits. *Encoder at work*: its share",
            "of the run's wall time, which is the end-to-end rate over the rate of the encoder alone in the same",
            "run; 0.9 was wanted. The rest of the time it waits for the first batch to be decoded, for pictures,",
            "or for the disk; the first batch counts the more, the fewer pictures there are.",
            "",
            "## Where the time goes",
            "",
            "| work on one picture | CPU ms |",
            "|---|---|",
            *pieces,
            "",
            "A JPEG is decoded at the smallest of its scales that is twice as large as the model needs. What is",
            "left of that is mostly reading its Huffman code, which has to be done whatever the scale.",
            "",
            *bounds(told),
            "",
            f"{os.cpu_count()} processors ({platform.machine()}), load {told['load'][0]:.1f} at the start and",
            f"{told['load'][1]:.1f} at the end, Python {platform.python_version()}. On a busy machine compare the",
            "columns with each other, not with other machines. Written by `tests/benchmarks/indexing_speed.py`.",
            "",
        ]
    )


def bounds(told: dict) -> list[str]:
    """What the pieces above allow at best, in words."""
    pieces, cores = told["profile"], os.cpu_count() or 1
    reading = sum(pieces[name] for name in ("read the file", "hash it", "decode and check it"))
    left = told["naive"]["cpu"] * 1e3 / 5 - reading
    lines = [
        f"Reading, hashing and decoding take {reading:.0f} ms of CPU before any encoder begins. Five times less than",
        f"the plain loop would leave {left:.0f} ms to scale and encode a picture.",
    ]
    for name in ("torch", "eight bits"):
        encoding = pieces[f"scale and encode it, {name}"]
        best = encoding / max(encoding, (reading + encoding) / cores)
        alone = encoding / (reading + encoding)
        lines.append(
            f"With {name}, an encoder of one thread on {cores} idle processors works {best:.2f} of the time at best; "
            f"against one that has all processors to itself the rate is {alone:.2f}, since reading needs them, too."
        )
    return lines


def measure(place: Path, pictures: int, torch_pictures: int, naive_pictures: int) -> dict:
    load = os.getloadavg()[0]
    model = write_model(place / "model")
    (place / "photos").mkdir()
    size = write_photographs(place / "photos", pictures)
    specs = {"torch": f"local-dir:{model}", "eight bits": f"onnx:local-dir:{model}:int8"}
    plain = naive(place / "photos", model, min(naive_pictures, pictures - 1))
    ways = {"plain loop": {"count": naive_pictures, "cpu": plain}}
    counts = {"torch": torch_pictures, "eight bits": pictures}
    for name, spec in specs.items():
        folder = place / "photos"
        if counts[name] < pictures:
            folder = place / name
            folder.mkdir()
            for file in sorted((place / "photos").glob("*.jpg"))[: counts[name]]:
                os.link(file, folder / file.name)
        found = indexed(folder, place / f"{name}.index", spec)
        ways[f"mmretrieval, {name}"] = {
            "count": counts[name],
            "cpu": found["cpu"],
            "share": f"{found['encoder'] / found['wall']:.2f}",
        }
    return {
        "pictures": pictures,
        "bytes": size,
        "naive": ways["plain loop"],
        "ways": ways,
        "profile": profile(place / "photos", specs),
        "load": [load, os.getloadavg()[0]],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--torch-pictures", type=int, default=1000)
    parser.add_argument("--naive", type=int, default=50)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "indexing-speed.md")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    os.environ.setdefault("XDG_CACHE_HOME", str(place / "cache"))  # for the exported model
    try:
        told = measure(place, given.pictures, min(given.torch_pictures, given.pictures), given.naive)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    given.out.write_text(report(told), encoding="utf-8")
    sys.stdout.write(report(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
