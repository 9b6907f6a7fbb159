"""Run an exported folder on the real verl, on CPUs, in namespaces of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from tests_engines.isolation import Ended, environment_of, run_isolated

ON_CPU = {
    "trainer.device": "cpu",
    "actor_rollout_ref.rollout.name": "transformers",
    "actor_rollout_ref.rollout.free_cache_engine": False,
    "actor_rollout_ref.actor.use_torch_compile": False,
    "actor_rollout_ref.actor.fsdp_config.use_torch_compile": False,
    "data.dataloader_num_workers": 0,
    "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
    "ray_kwargs.ray_init.num_cpus": 16,
    "+ray_kwargs.ray_init.include_dashboard": False,
    "+ray_kwargs.ray_init.object_store_memory": 300_000_000,
    "actor_rollout_ref.rollout.agent.num_workers": 1,
    "reward.num_workers": 1,
}
"""Settings for a run without GPUs, on few cores and with little memory."""


def run_verl(
    folder: Path,
    out: Path,
    log: Path,
    *,
    python: Path,
    ranks: int,
    timeout: float,
    settings: Mapping[str, object] | None = None,
    watch: Callable[[psutil.Process, str], None] = lambda process, text: None,
) -> Ended:
    """Run `run.sh` of an exported folder on logical GPUs.

    Args:
        folder: The folder of `maniplvm export verl`.
        out: The folder of the run's checkpoints.
        log: The file for all that the run prints.
        python: The interpreter of the environment with verl.
        ranks: Training ranks, each with one logical GPU.
        timeout: Time limit [s]; then all processes are killed.
        settings: Further overrides.
        watch: Called twice a second with the process and the text that it printed since.
    """
    temporary = Path(tempfile.mkdtemp(prefix="ray"))  # sockets need a short path
    overrides = {
        **ON_CPU,
        "+ray_kwargs.ray_init.num_gpus": ranks,
        "+ray_kwargs.ray_init._temp_dir": str(temporary),
        **(settings or {}),
    }
    words = [f"{key}={value}" for key, value in overrides.items()]
    try:
        return run_isolated(
            ["bash", str(folder / "run.sh"), *words],
            log,
            verl_environment(python, OUT=str(out)),
            timeout,
            watch,
        )
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def kill_actor(process: psutil.Process, name: str) -> bool:
    """Kill one Ray actor below a process, by the name of its class; False if there is none."""
    for child in process.children(recursive=True):
        try:
            if child.cmdline()[:1] and child.cmdline()[0].startswith(f"ray::{name}"):
                child.kill()
                return True
        except psutil.NoSuchProcess:
            continue
    return False


def verl_environment(python: Path, **more: str) -> dict[str, str]:
    """Variables for verl on CPUs, as `environment_of`."""
    return environment_of(
        python,
        HYDRA_FULL_ERROR="1",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",  # an empty CUDA_VISIBLE_DEVICES stops Ray
        VERL_USE_EXTERNAL_MODULES="tests_engines.verl.cpu_platform",
        VERL_PLATFORM="cpu",
        **more,
    )
