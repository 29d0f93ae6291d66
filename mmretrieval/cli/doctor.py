"""mmretrieval doctor: is everything here that a search needs?"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mmretrieval.cli.asking import Mllm
from mmretrieval.cli.options import Device, Json
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import MissingPrerequisite, MMRetrievalError

PACKAGES = (
    "numpy", "pillow", "torch", "open_clip_torch", "transformers", "tokenizers", "safetensors", "gradio", "typer",
    "rich", "filelock", "jinja2", "httpx",
)  # fmt: skip
EXTRAS = {
    "heic": ("pi-heif",),
    "scale": ("pyarrow",),
    "onnx": ("onnx", "onnxruntime"),
    "report": ("ir-measures", "matplotlib"),
    "sentence": ("sentence-transformers",),
}
FEW_BYTES = 2 * 2**30  # below this a model's download or a large index may not fit


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `ok` is False when something will not work, `weak` what works badly."""

    name: str
    ok: bool
    detail: str
    weak: bool = False

    @property
    def state(self) -> str:
        return "PROBLEM" if not self.ok else "weak" if self.weak else "ok"


def doctor(mllm: Mllm = None, device: Device = None, json: Json = False) -> Report:
    """Check that all that is needed is here.

    Python, packages, the demo model, SQLite's text search, model cache, disk and threads. With --mllm a language model
    instead: whether it sees pictures, tells yes from no, keeps to the picture when the order changes, and its time.
    What it does badly is called weak, which is a warning: choose rerankers that do without it.
    """
    checks = [check for look in LOOKS for check in look()] if mllm is None else list(_language_model(mllm, device))
    problems = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
    failure = MissingPrerequisite if mllm is None else MMRetrievalError  # a model that is there, and does not work
    return Report(
        fields={
            "checks": [{"name": each.name, "ok": each.ok, "weak": each.weak, "detail": each.detail} for each in checks]
        },
        lines=[row(check.state, check.name, check.detail) for check in checks],
        status="error" if problems else "ok",
        warnings=[f"{check.name}: {check.detail}" for check in checks if check.weak],
        errors=problems,
        exit_code=failure.exit_code if problems else 0,
    )


def _python() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}")


def _packages() -> Iterator[Check]:
    for package in PACKAGES:
        yield _installed(package)
    faiss = [check for check in map(_installed, ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12")) if check.ok]
    if len(faiss) > 1:
        both = " and ".join(check.name for check in faiss)
        yield Check("faiss", False, f"{both} are both installed and overwrite each other: uninstall both, install one")
    yield from faiss[:1] or [Check("faiss", False, "not installed: pip install faiss-cpu")]


def _extras() -> Iterator[Check]:
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if not _installed(package).ok]
        told = f"not installed, if you need it: pip install 'mmretrieval[{extra}]'" if missing else "installed"
        yield Check(f"extra {extra}", True, told)


def _installed(package: str) -> Check:
    try:
        return Check(package, True, metadata.version(package))
    except metadata.PackageNotFoundError:
        return Check(package, False, f"not installed: pip install {package}")


def _demo_model() -> Iterator[Check]:
    from mmretrieval.encoders import open_encoder

    try:
        encoder = open_encoder("demo")
        rows = encoder.encode_texts(["a red bowl of soup"])
    except MMRetrievalError as error:
        yield Check("demo model", False, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a broken package does, the report goes on and tells it
        yield Check("demo model", False, f"{type(error).__name__}: {error}")
    else:
        yield Check("demo model", True, f"loads, and gives {rows.shape[1]} numbers for a text")


def _sqlite() -> Iterator[Check]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    except sqlite3.OperationalError as error:
        yield Check("sqlite", False, f"{sqlite3.sqlite_version} has no full-text search (FTS5): {error}")
    else:
        yield Check("sqlite", True, f"{sqlite3.sqlite_version} with full-text search")
    finally:
        connection.close()


def _model_cache() -> Iterator[Check]:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    kept = len(list(cache.glob("models--*"))) if cache.is_dir() else 0
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    mode = "offline, so only these can be used" if offline else "others are downloaded when first used"
    yield Check("model cache", True, f"{kept} models in {cache}; {mode}")


def _disk() -> Iterator[Check]:
    free = shutil.disk_usage(Path.cwd()).free
    yield Check("disk", free >= FEW_BYTES, f"{free / 2**30:.1f} GiB free here")


def _compute() -> Iterator[Check]:
    try:
        import torch
    except ImportError as error:
        yield Check("compute", False, f"torch cannot be loaded: {error}")
        return
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    asked = os.environ.get("OMP_NUM_THREADS", "not set")
    told = f"{device}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, OMP_NUM_THREADS {asked}"
    yield Check("compute", True, told)


def _language_model(name: str, device: str | None) -> Iterator[Check]:
    from mmretrieval.mllm_checkup import check_up
    from mmretrieval.mllm_names import open_mllm

    model = open_mllm(name, device=device)
    try:
        for finding in check_up(model):
            yield Check(finding.name, finding.state != "broken", finding.detail, weak=finding.state == "weak")
    finally:
        model.close()


LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (
    _python, _packages, _extras, _sqlite, _compute, _demo_model, _model_cache, _disk,
)  # fmt: skip
