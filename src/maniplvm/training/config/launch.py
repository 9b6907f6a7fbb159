"""How a run is launched: the number of processes, and how they share the training state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from maniplvm.config import validated
from maniplvm.config.yaml import read_yaml
from maniplvm.errors import UserError

PRECISIONS = ("no", "fp16", "bf16")
"""Valid values of `mixed_precision` in an accelerate config."""


@validated
@dataclass(frozen=True)
class LaunchSettings:
    """How a recipe is meant to be launched: its key `launch`.

    Attributes:
        accelerate: Config file of `accelerate launch`.
        server_gpus: GPUs of the vLLM server, if the recipe generates with one
            (`vllm_mode: server`). Each holds a slice of the weights.
        server_max_tokens: Longest sequence that the server accepts, image included [tokens].
    """

    accelerate: str
    server_gpus: int = 1
    server_max_tokens: int = 4096

    def __post_init__(self) -> None:
        if self.server_gpus < 1 or self.server_max_tokens < 1:
            raise UserError(
                "launch: server_gpus and server_max_tokens must be 1 or more, got "
                f"{self.server_gpus} and {self.server_max_tokens}"
            )


class Sharding(StrEnum):
    """How the training state is sharded over the processes."""

    NONE = "none"
    ZERO2 = "zero2"
    ZERO3 = "zero3"
    FSDP2 = "fsdp2"

    @property
    def splits_weights(self) -> bool:
        """Whether the weights are sharded too."""
        return self in (Sharding.ZERO3, Sharding.FSDP2)


@dataclass(frozen=True)
class Launch:
    """The processes of a run; each trains on one device.

    Attributes:
        processes: Number of processes on all machines together.
        machines: Number of machines.
        sharding: How the training state is sharded.
        offloads_optimizer: Whether the optimizer state is kept in CPU memory.
        offloads_weights: Whether the weights are kept in CPU memory.
        mixed_precision: Precision of the computation if the recipe sets none; one of `PRECISIONS`.
        on_cpu: Whether the processes compute on the CPU.
    """

    processes: int = 1
    machines: int = 1
    sharding: Sharding = Sharding.NONE
    offloads_optimizer: bool = False
    offloads_weights: bool = False
    mixed_precision: str = "no"
    on_cpu: bool = False

    def __post_init__(self) -> None:
        if self.machines < 1 or self.processes < self.machines:
            raise UserError(
                f"launch: {self.processes} processes on {self.machines} machines; "
                "every machine needs at least one"
            )
        if self.processes % self.machines:
            raise UserError(
                f"launch: {self.processes} processes cannot be divided evenly over "
                f"{self.machines} machines; accelerate would start fewer"
            )

    def __str__(self) -> str:
        count = "1 process" if self.processes == 1 else f"{self.processes} processes"
        places = "" if self.machines == 1 else f" on {self.machines} machines"
        state = {
            Sharding.NONE: "" if self.processes == 1 else ", each with the whole training state",
            Sharding.ZERO2: ", gradients and optimizer split (ZeRO-2)",
            Sharding.ZERO3: ", weights, gradients and optimizer split (ZeRO-3)",
            Sharding.FSDP2: ", weights, gradients and optimizer split (FSDP2)",
        }[self.sharding]
        return count + places + state


def read_launch(path: str | Path) -> Launch:
    """Read the launch from a config file of `accelerate launch`.

    Args:
        path: A YAML file in the format of `accelerate config`.

    Raises:
        UserError: the file is unreadable, or its kind of distribution is not supported.
    """
    settings = read_yaml(Path(path), "accelerate config")
    written = settings.get("distributed_type", "NO")
    kind = "NO" if written is False else str(written).upper()  # YAML reads a bare NO as false
    where = f"accelerate config {path}"
    if kind == "DEEPSPEED":
        sharding, optimizer, weights = _deepspeed(settings.get("deepspeed_config"), where)
    elif kind == "FSDP":
        sharding, optimizer, weights = _fsdp(settings.get("fsdp_config"), where)
    elif kind in ("NO", "MULTI_GPU", "MULTI_CPU"):
        sharding, optimizer, weights = Sharding.NONE, False, False
    else:
        raise UserError(
            f"{where}: distributed_type {kind}: choose from NO, MULTI_GPU, FSDP, DEEPSPEED"
        )
    processes = _count(settings, "num_processes", where)
    if kind == "NO" and processes > 1:
        raise UserError(
            f"{where}: distributed_type NO starts 1 process, not {processes}; choose MULTI_GPU"
        )
    precision = settings.get("mixed_precision", "no")
    precision = "no" if precision is False else precision  # YAML reads a bare no as false
    if precision not in PRECISIONS:
        raise UserError(
            f"{where}: mixed_precision {precision!r}: choose from {', '.join(PRECISIONS)}"
        )
    machines = _count(settings, "num_machines", where)
    if machines > 1:
        _check_rendezvous(settings, where)
    return Launch(
        processes=processes,
        machines=machines,
        sharding=sharding,
        offloads_optimizer=optimizer,
        offloads_weights=weights,
        mixed_precision=precision,
        on_cpu=bool(settings.get("use_cpu", False)),
    )


def _check_rendezvous(settings: Mapping[str, Any], where: str) -> None:
    """Refuse settings under which each machine would wait for the others at its own address."""
    if settings.get("rdzv_backend", "static") != "static" and settings.get("same_network", False):
        raise UserError(
            f"{where}: rdzv_backend {settings['rdzv_backend']} with same_network: true ignores the "
            "address of the first machine; set rdzv_backend to static"
        )


def _deepspeed(settings: Any, where: str) -> tuple[Sharding, bool, bool]:
    if not isinstance(settings, Mapping) or "zero_stage" not in settings:
        raise UserError(f"{where}: deepspeed_config: zero_stage is missing; choose 2 or 3")
    stages = {0: Sharding.NONE, 2: Sharding.ZERO2, 3: Sharding.ZERO3}
    stage = settings["zero_stage"]
    if stage not in stages:
        raise UserError(f"{where}: deepspeed_config.zero_stage {stage!r}: choose 0, 2 or 3")
    return (
        stages[stage],
        settings.get("offload_optimizer_device", "none") != "none",
        settings.get("offload_param_device", "none") != "none",
    )


def _fsdp(settings: Any, where: str) -> tuple[Sharding, bool, bool]:
    if not isinstance(settings, Mapping) or settings.get("fsdp_version") != 2:
        raise UserError(f"{where}: fsdp_config.fsdp_version: only 2 is supported")
    offloads = bool(settings.get("fsdp_offload_params", False))
    return Sharding.FSDP2, offloads, offloads


def _count(settings: Mapping[str, Any], key: str, where: str) -> int:
    value = settings.get(key, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{where}: {key}: expected an integer of at least 1, got {value!r}")
    return value


def planned_launch(settings: LaunchSettings | None, config: str | Path | None = None) -> Launch:
    """The launch of a run.

    Args:
        settings: The recipe's key `launch`.
        config: A config file of `accelerate launch` that replaces the recipe's.

    Raises:
        UserError: as `read_launch`.
    """
    if config is not None:
        return read_launch(config)
    return Launch() if settings is None else read_launch(settings.accelerate)


def is_sharded() -> bool:
    """Whether the launcher of this process distributes the weights (FSDP, DeepSpeed)."""
    names = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    return any(os.environ.get(name, "").lower() == "true" for name in names)
