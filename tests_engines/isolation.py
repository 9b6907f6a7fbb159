"""Run a program in network and process namespaces of its own.

Ray listens on every network interface, and ms-swift looks for files in the network. Here a program
sees only a loopback interface of its own, and all its processes end with the first one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]
_ISOLATED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    *("bash", "-c", 'ip link set lo up && "$@"', "isolated"),
)
_POLL = 0.5


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


def run_isolated(
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    timeout: float,
    watch: Callable[[psutil.Process, str], None] = lambda process, text: None,
) -> Ended:
    """Run a program, and end all its processes.

    Args:
        words: The program and its arguments.
        log: The file for all that it prints.
        environment: Its variables.
        timeout: Time limit [s]; then all processes are killed.
        watch: Called twice a second with the process and the text that it printed since.
    """
    start = time.monotonic()
    with log.open("wb") as output, log.open("rb") as printed:
        process = psutil.Popen(
            [*_ISOLATED, *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
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
    return Ended(status, time.monotonic() - start, log)


def environment_of(python: Path, **more: str) -> dict[str, str]:
    """Variables for a program of another environment that imports this package from here.

    Args:
        python: The interpreter of that environment.
        more: Further variables.
    """
    return {
        **os.environ,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        **more,
    }
