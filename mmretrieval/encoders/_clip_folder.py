"""The files of a model in open_clip's folder format, looked at before open_clip is asked to load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmretrieval.errors import InvalidData

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def weights_in(folder: Path) -> Path:
    """The file that open_clip will choose, for what we say about it."""
    found = [path for ending in ("safetensors", "bin", "pth") for path in sorted(folder.glob(f"*.{ending}"))]
    if not found:
        raise InvalidData(f"{folder}: the weights are missing, a file such as {WEIGHTS[0]}: copy them there, too")
    return next((path for name in WEIGHTS for path in found if path.name == name), found[0])


def read_config(path: Path) -> dict[str, Any]:
    """The model_cfg in a file of open_clip's format; raises InvalidData when there is no such thing."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InvalidData(f"{path.parent}: {CONFIG} is missing, so this folder is no open_clip model") from error
    except (ValueError, OSError) as error:
        raise InvalidData(f"{path}: cannot be read as JSON ({error}): fetch the model again") from error
    config = told.get("model_cfg") if isinstance(told, dict) else None
    if not isinstance(config, dict) or not all(
        isinstance(config.get(part), kind)
        for part, kind in (("text_cfg", dict), ("vision_cfg", dict), ("embed_dim", int))
    ):
        raise InvalidData(
            f"{path}: it needs a model_cfg with embed_dim, vision_cfg and text_cfg: fetch the model again"
        )
    return config
