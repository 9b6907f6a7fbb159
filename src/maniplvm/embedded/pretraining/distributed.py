"""Several processes that teach one model: each takes its share of every batch."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing


class Team:
    """This process among those that teach; alone unless `run_team` started it."""

    @property
    def size(self) -> int:
        """How many processes there are."""
        return dist.get_world_size() if dist.is_initialized() else 1

    @property
    def rank(self) -> int:
        """Which one this is; 0 writes."""
        return dist.get_rank() if dist.is_initialized() else 0

    def share(self, batch: Sequence[int]) -> list[int]:
        """What of a batch this process takes: neighbours go to different processes."""
        return list(batch[self.rank :: self.size])

    def average_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Give every process the mean of all gradients, in one message."""
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


def run_team(processes: int, work: Callable[..., None], *arguments: Any) -> None:
    """Call `work(*arguments)` in so many processes at once; one alone runs here.

    Args:
        processes: How many.
        work: A function of a module; its arguments are pickled.
        arguments: For each process the same.
    """
    if processes == 1:
        work(*arguments)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(_member, (processes, port, work, arguments), nprocs=processes)  # type: ignore[attr-defined]


def _member(
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
