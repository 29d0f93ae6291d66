"""Where a model computes."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from mmretrieval.errors import MissingPrerequisite, UsageError

if TYPE_CHECKING:
    import torch


def pick_device(name: str | None) -> torch.device:
    """The device of that name, or the best there is. Raises UsageError and MissingPrerequisite."""
    import torch

    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"there is no device '{name}': use cpu, cuda, cuda:1 or mps") from error
    here = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device.type not in here:
        raise UsageError(f"the device '{name}' is not supported: use cpu, cuda, cuda:1 or mps")
    if (device.index or 0) >= here[device.type]:
        raise MissingPrerequisite(
            f"the device '{name}' is not available on this machine: use cpu, or install its driver"
        )
    return device


def imitates_bf16() -> bool:
    """Whether this is an x86 processor that must imitate bfloat16; measured there, pictures take ten times as long."""
    import torch

    has = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return platform.machine().lower() in ("x86_64", "amd64") and has is not None and not has()
