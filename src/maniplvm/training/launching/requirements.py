"""What this machine must have before a launch starts: packages, their versions, and GPUs."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from maniplvm.errors import UserError
from maniplvm.optional import torch
from maniplvm.training.config.launch import Sharding
from maniplvm.training.launching.commands import LaunchPlan


def vllm_requirement() -> Requirement:
    """The versions of vLLM that the installed TRL declares for its extra `vllm`.

    Raises:
        UserError: TRL is not installed, or declares none.
    """
    try:
        declared = [Requirement(line) for line in requires("trl") or ()]
    except PackageNotFoundError as error:
        raise UserError('TRL is not installed: pip install ".[train]"') from error
    for each in declared:
        if each.name == "vllm" and each.marker and each.marker.evaluate({"extra": "vllm"}):
            return each
    raise UserError(f"TRL {version('trl')} declares no versions of vLLM")


def check_vllm() -> None:
    """Check that this environment has a version of vLLM that TRL supports.

    Raises:
        UserError: vLLM is missing, or has another version.
    """
    needed = vllm_requirement()
    try:
        found = version("vllm")
    except PackageNotFoundError as error:
        raise UserError(
            f"the recipe generates with vLLM, which is not installed here: TRL {version('trl')} "
            f'needs vllm{needed.specifier} (pip install "trl[vllm]"), on a machine with a GPU'
        ) from error
    if found not in needed.specifier:
        raise UserError(
            f"vLLM {found} is installed, but TRL {version('trl')} needs vllm{needed.specifier}"
        )


def check_machine(plan: LaunchPlan, uses_vllm: bool) -> None:
    """Check that this machine can run the commands of a plan.

    Args:
        plan: The plan.
        uses_vllm: Whether the recipe generates with vLLM. Server and training both need it.

    Raises:
        UserError: a package or a GPU is missing.
    """
    if uses_vllm:
        check_vllm()
    sharded = plan.launch.sharding in (Sharding.ZERO2, Sharding.ZERO3)
    if plan.trainer is not None and sharded and importlib.util.find_spec("deepspeed") is None:
        raise UserError("DeepSpeed is not installed here: pip install deepspeed")
    found = torch().cuda.device_count() if torch().cuda.is_available() else 0
    if found < plan.gpus:
        raise UserError(
            f"the launch needs {plan.gpus} GPUs of this machine, and PyTorch sees {found}; choose "
            "--gpus, or another config with --accelerate"
        )
