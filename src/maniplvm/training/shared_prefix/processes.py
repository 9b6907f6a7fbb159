"""Decisions that all processes of a run take together. One process decides alone, for free.

A forward pass of a model with sharded weights is a collective operation: every process must take
part in it. The number of passes, and the code that runs them, must therefore be equal everywhere.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled


def process_count() -> int:
    """Number of processes of the run; 1 without a process group."""
    initialized = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if initialized else 1


def maxima(values: list[float], device: torch.device | str) -> list[float]:
    """The largest value over all processes, for each position.

    Args:
        values: Values of this process. NaN is larger than every number.
        device: The device of the model, on which processes communicate.
    """
    if process_count() == 1:
        return values
    # PyTorch does not define the maximum of NaN over processes.
    numbers = [torch.inf if value != value else value for value in values]
    pairs = torch.tensor([[n, float(v != v)] for n, v in zip(numbers, values, strict=True)])
    found: Tensor = pairs.to(device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return [float("nan") if is_nan else number for number, is_nan in found.tolist()]


def any_process(flag: bool, device: torch.device | str) -> bool:
    """Whether the flag is set in any process."""
    return maxima([float(flag)], device)[0] > 0


def first_reason(reason: str | None, device: torch.device | str) -> str | None:
    """The reason of the first process that has one, or None.

    Args:
        reason: Why this process cannot continue, or None.
        device: The device of the model.
    """
    if process_count() == 1 or not any_process(reason is not None, device):
        return reason
    reasons: list[str | None] = [None] * process_count()
    distributed.all_gather_object(reasons, reason)
    rank, first = next((rank, each) for rank, each in enumerate(reasons) if each is not None)
    return f"{first} (process {rank})"


def has_sharded_weights(model: Any) -> bool:
    """Whether FSDP2 shards weights of the model over several processes."""
    return process_count() > 1 and any(isinstance(each, FSDPModule) for each in model.modules())


def additional_passes(model: Any, passes: int) -> int:
    """Forward passes that this process must add to have as many as every other process.

    Args:
        model: The model. Without sharded weights no process waits for another, so 0 is returned.
        passes: Number of forward passes that this process needs.
    """
    if not has_sharded_weights(model):
        return 0
    device = next(model.parameters()).device
    return int(maxima([float(passes)], device)[0]) - passes


def unsupported_sharding_reason(accelerator: Any) -> str | None:
    """Why a prefix cannot be shared with the way that weights are sharded, or None if it can.

    Args:
        accelerator: The `Accelerator` of the run.
    """
    plugin = getattr(accelerator.state, "deepspeed_plugin", None)
    if is_deepspeed_zero3_enabled() or (plugin is not None and plugin.zero_stage == 3):
        return "DeepSpeed ZeRO-3 is not supported (launch with FSDP2)"
    fsdp = getattr(accelerator.state, "fsdp_plugin", None)
    if fsdp is not None and fsdp.fsdp_version != 2:
        return "FSDP1 is not supported (launch with fsdp_version: 2)"
    return None
