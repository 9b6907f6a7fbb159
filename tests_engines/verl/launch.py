"""Run an exported folder on the real verl, on CPUs, in namespaces of its own.

Ray listens on every network interface. Here it sees only a loopback interface of its own, and a
process namespace of its own ends all its processes with the first one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[2]
_ISOLATED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    *("bash", "-c", 'ip link set lo up && "$@"', "isolated"),
)
_POLL = 0.5

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


@dataclass(frozen=True)
class Ended:
    """A run that ended.

    Attributes:
        status: Its exit status; None if it exceeded the time limit and was killed.
        seconds: Its duration.
        log: The file with all it printed.
    """

    status: int | None
    seconds: float
    log: Path


def can_isolate() -> bool:
    """Whether this system lets us create the namespaces."""
    return subprocess.run([*_ISOLATED, "true"], capture_output=True, check=False).returncode == 0


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
    start = time.monotonic()
    with log.open("wb") as output, log.open("rb") as printed:
        process = psutil.Popen(
            [*_ISOLATED, "bash", str(folder / "run.sh"), *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(out, python),
            cwd=REPOSITORY,
            start_new_session=True,
        )
        try:
            while process.poll() is None and time.monotonic() - start < timeout:
                time.sleep(_POLL)
                watch(process, printed.read().decode(errors="replace"))
            status = process.poll()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            shutil.rmtree(temporary, ignore_errors=True)
    return Ended(status, time.monotonic() - start, log)


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


def _environment(out: Path, python: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "OUT": str(out),
        "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HYDRA_FULL_ERROR": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # an empty CUDA_VISIBLE_DEVICES stops Ray
        "VERL_USE_EXTERNAL_MODULES": "tests_engines.verl.cpu_platform",
        "VERL_PLATFORM": "cpu",
    }
