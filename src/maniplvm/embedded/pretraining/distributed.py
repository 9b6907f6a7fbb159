"""Data-parallel training on CPUs: each process takes a part of every batch."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing


class ProcessGroup:
    """The group of training processes; a single one unless `run_distributed` started it."""

    @property
    def size(self) -> int:
        """Number of processes."""
        return dist.get_world_size() if dist.is_initialized() else 1

    @property
    def rank(self) -> int:
        """Rank of this process; rank 0 writes files."""
        return dist.get_rank() if dist.is_initialized() else 0

    def shard(self, batch: Sequence[int]) -> list[int]:
        """The part of a batch for this process; neighbours go to different processes."""
        return list(batch[self.rank :: self.size])

    def average_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace the gradients of every process by their mean, in one all-reduce."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([each.grad.reshape(-1) for each in parameters if each.grad is not None])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for parameter in parameters:
            count = parameter.numel()
            parameter.grad = flat[start : start + count].view_as(parameter)
            start += count


def run_distributed(processes: int, work: Callable[..., None], *arguments: Any) -> None:
    """Call `work(*arguments)` in several processes at once; a single one runs here.

    Args:
        processes: Number of processes.
        work: Function of a module; its arguments are pickled.
        arguments: Arguments of the function, the same for each process.
    """
    if processes == 1:
        work(*arguments)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(_worker, (processes, port, work, arguments), nprocs=processes)  # type: ignore[attr-defined]


def _worker(
    rank: int, processes: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=processes
    )
    try:
        work(*arguments)
    finally:
        dist.destroy_process_group()
