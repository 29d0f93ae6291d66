"""Encoders by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mmretrieval import registry
from mmretrieval.errors import MissingPrerequisite, UsageError
from mmretrieval.protocols import Encoder

# For real photographs. SigLIP 2 finds far more than CLIP models of its size (COCO text to image R@1 53 where the B/16
# of DataComp has 40, as published) and understands many languages; its licence is Apache 2.0. For a quarter of the
# computing time there is ViT-B-32-SigLIP2-256/webli, for a smaller download (605 MB) ViT-B-32/datacomp_xl_s13b_b90k.
DEFAULT_ENCODER = "ViT-B-16-SigLIP2-256/webli"
DEFAULT_ENCODER_MB = 1_535  # weights 1,501 and tokenizer 34

DEMO_KNOWS = "only the drawn demo world (food plates and natural scenes), nothing of real photographs"


def open_encoder(spec: str, *, device: str | None = None, precision: Literal["fp32", "bf16"] = "fp32") -> Encoder:
    """The encoder of that name, loaded.

    "demo" is the small model that ships with the package, "default" is DEFAULT_ENCODER. Other names are open_clip's:
    `name/pretrained`, `hf-hub:ORGANISATION/NAME`, `local-dir:FOLDER` or a folder. `method:rest` hands the rest to
    another file of this folder, as in `onnx:demo`. Raises as `encoders.open_clip.OpenClip` does.
    """
    if spec == "demo":
        return _open("open_clip", f"local-dir:{demo_folder()}", device, precision, called="demo", knows=DEMO_KNOWS)
    method, colon, rest = spec.partition(":")
    if colon and method in registry.names("encoders"):
        return _open(method, rest, device, precision)
    return _open("open_clip", DEFAULT_ENCODER if spec == "default" else spec, device, precision)


def is_demo(spec: str) -> bool:
    """Whether that is the model that knows drawn pictures only, in whatever form."""
    return spec.removeprefix("onnx:").removesuffix(":int8") == "demo"


def demo_folder() -> Path:
    """Where the demo model lies: in the wheel beside this package, in a checkout beside its folder.

    Raises MissingPrerequisite when it is in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "assets" / "demo-clip", package.parent / "assets" / "demo-clip"):
        if (folder / "open_clip_config.json").is_file():
            return folder
    raise MissingPrerequisite(
        "the demo model is not part of this installation (assets/demo-clip is missing): install the package again, or "
        "train it with: mmretrieval train clip --out assets/demo-clip --minutes 60"
    )


def _open(method: str, rest: str, device: str | None, precision: str, **more: str) -> Encoder:
    kind = registry.load("encoders", method)
    if Encoder not in kind.__mro__:  # said so, since a type checker would take issubclass for a known constructor
        spec = f"{method}:{rest}"
        raise UsageError(f"'{spec}' encodes texts only: use it as in --captions {spec}, and another for the pictures")
    encoder: Encoder = kind(rest, device=device, precision=precision, **more)
    return encoder
