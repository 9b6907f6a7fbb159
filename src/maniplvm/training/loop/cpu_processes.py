"""Distributed training on CPUs: `accelerate launch --cpu` starts only one process.

Without MPI it sets a rendezvous address and runs the command once (accelerate 1.15). The run
would silently have a smaller global batch, so the command starts the missing processes itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.optional import torch
from maniplvm.training.config.launch import read_launch

_COUNT_OPTIONS = ("--num_processes", "--num-processes")
_CONFIG_OPTIONS = ("--config_file", "--config-file")
_WORLD_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def is_missing_processes(environment: Mapping[str, str]) -> bool:
    """Whether `accelerate launch --cpu` was asked for several processes and started only one.

    Args:
        environment: The environment variables of the process.
    """
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() == "true"
    has_address = "MASTER_ADDR" in environment
    return on_cpu and has_address and not any(name in environment for name in _WORLD_SIZES)


def requested_processes(launcher: Sequence[str]) -> int | None:
    """The number of processes in a command line of `accelerate launch`; None if it has none.

    Args:
        launcher: The arguments of the command line.
    """
    count = _option(launcher, _COUNT_OPTIONS)
    if count is not None:
        return int(count) if count.isdecimal() else None
    config = _option(launcher, _CONFIG_OPTIONS)
    return None if config is None else read_launch(Path(config)).processes


def start_missing_processes(arguments: Sequence[str], module: str = "maniplvm") -> None:
    """Replace this process by all requested ones if some are missing; else do nothing.

    Args:
        arguments: The arguments of the command.
        module: The module that the command runs.

    Raises:
        UserError: the number of requested processes is unknown.
    """
    if not is_missing_processes(os.environ):
        return
    import psutil  # a dependency of accelerate, which started this process

    count = requested_processes(psutil.Process(os.getppid()).cmdline())
    if count is None:
        raise UserError(
            "accelerate launch --cpu started only one process; start with "
            "`torchrun --nproc_per_node N -m maniplvm train ...` instead"
        )
    address = ("--master_addr", os.environ["MASTER_ADDR"])
    port = ("--master_port", os.environ.get("MASTER_PORT", "29500"))
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", str(count), *address, *port)
    os.execv(sys.executable, [sys.executable, *launch, "-m", module, *arguments])  # noqa: S606


def _option(arguments: Sequence[str], names: Sequence[str]) -> str | None:
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else next(iter(arguments[index + 1 :]), None)
    return None


def leave_process_group() -> None:
    """Leave the process group together: a process that exits early can abort the others.

    Call it when no training follows in this process. It does nothing in a single process.
    """
    distributed = torch().distributed
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
