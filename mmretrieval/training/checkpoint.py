"""Training state on disk: tensors as safetensors, the rest as JSON, replaced as one folder.

Nothing is pickled, so a checkpoint from somebody else can be loaded without running their code.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    import torch
    from torch import nn


def save(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """Writes a sibling first and swaps it in, so that a kill leaves the old checkpoint or the new one."""
    from safetensors.torch import save_file

    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in module.state_dict().items()}, str(fresh / "module.safetensors")
    )
    moments = {
        f"{number}.{key}": value.contiguous()
        for number, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }
    save_file(moments, str(fresh / "optimizer.safetensors"))
    (fresh / "state.json").write_text(json.dumps(facts, indent=1) + "\n")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fills module and optimizer in place and returns the facts that `save` was given."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    old = folder.with_name(folder.name + ".old")
    source = folder if folder.exists() else old  # a kill between the two renames leaves only the old one
    try:
        module.load_state_dict(load_file(str(source / "module.safetensors")))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in load_file(str(source / "optimizer.safetensors")).items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        facts: dict[str, Any] = json.loads((source / "state.json").read_text())
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InvalidData(
            f"the checkpoint in {folder} cannot be used ({error}); start again without --resume"
        ) from error
    return facts
