"""Several processes on CPUs: `accelerate launch --cpu` promises them and starts only one.

Without MPI it prepares an address to meet at, and runs the command once (accelerate 1.15). The
run would silently have a smaller global batch, so the command starts the processes itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.optional import torch
from maniplvm.training.config.launch import read_launch

_COUNTS = ("--num_processes", "--num-processes")
_CONFIGS = ("--config_file", "--config-file")
_STARTED = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def is_missing_processes(environment: Mapping[str, str]) -> bool:
    """Whether `accelerate launch --cpu` was asked for several processes and started one.

    Args:
        environment: Of the process.
    """
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() == "true"
    met = "MASTER_ADDR" in environment
    return on_cpu and met and not any(name in environment for name in _STARTED)


def promised_processes(launcher: Sequence[str]) -> int | None:
    """How many processes a command line of `accelerate launch` asks for; None if it does not say.

    Args:
        launcher: Its arguments.
    """
    count = _option(launcher, _COUNTS)
    if count is not None:
        return int(count) if count.isdecimal() else None
    config = _option(launcher, _CONFIGS)
    return None if config is None else read_launch(Path(config)).processes


def start_missing_processes(arguments: Sequence[str], module: str = "maniplvm") -> None:
    """Replace this process by as many as were promised, if some are missing; else do nothing.

    Args:
        arguments: Of the command.
        module: That is run by it.

    Raises:
        UserError: it cannot be told how many were promised.
    """
    if not is_missing_processes(os.environ):
        return
    import psutil  # comes with accelerate, which has just started us

    count = promised_processes(psutil.Process(os.getppid()).cmdline())
    if count is None:
        raise UserError(
            "accelerate launch --cpu started one process only; start with "
            "`torchrun --nproc_per_node N -m maniplvm train ...` instead"
        )
    place = ("--master_addr", os.environ["MASTER_ADDR"])
    port = ("--master_port", os.environ.get("MASTER_PORT", "29500"))
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", str(count), *place, *port)
    os.execv(sys.executable, [sys.executable, *launch, "-m", module, *arguments])  # noqa: S606


def _option(arguments: Sequence[str], names: Sequence[str]) -> str | None:
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else next(iter(arguments[index + 1 :]), None)
    return None


def leave_process_group() -> None:
    """End together: a process that just disappears can abort a sibling that still listens to it.

    To be called when no training follows in this process. One process alone has nothing to leave.
    """
    distributed = torch().distributed
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
