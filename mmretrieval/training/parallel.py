"""Several processes, one thread each, that train one model: on a CPU that is faster than one process with threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@contextmanager
def group(workers: int, meeting: Path, member: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Runs `member(rank, *arguments)` for the ranks from 1 in processes of their own; the caller is rank 0."""
    if workers == 1:
        yield
        return
    meeting = meeting.absolute()
    meeting.unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_member, args=(rank, workers, str(meeting), member, arguments), daemon=True)
        for rank in range(1, workers)
    ]
    for other in others:
        other.start()
    join(0, workers, str(meeting))
    try:
        yield
    finally:
        dist.destroy_process_group()
        for other in others:
            other.join(timeout=60)
            other.kill()
        meeting.unlink(missing_ok=True)


def join(rank: int, workers: int, meeting: str) -> None:
    """Waits until all `workers` have met over the file `meeting`."""
    # the members are processes of one machine; without this they look for each other under its outside name
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers)


def _member(rank: int, workers: int, meeting: str, member: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; rank 0 decides and tells the others
    join(rank, workers, meeting)
    try:
        member(rank, *arguments)
    finally:
        dist.destroy_process_group()


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def agree(values: list[float]) -> list[float]:
    """Rank 0's values, everywhere."""
    if not dist.is_initialized():
        return values
    shared = torch.tensor(values, dtype=torch.float64)
    dist.broadcast(shared, 0)
    return [float(value) for value in shared]


def start_alike(module: nn.Module) -> None:
    """Rank 0's parameters and buffers, everywhere."""
    if dist.is_initialized():
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, 0)


def average_gradients(module: nn.Module) -> None:
    """The mean over all processes, in place."""
    if not dist.is_initialized():
        return
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in parameters])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    start = 0
    for parameter in parameters:
        part = flat[start : start + parameter.numel()]
        start += parameter.numel()
        if parameter.grad is not None:
            parameter.grad.copy_(part.view_as(parameter))
