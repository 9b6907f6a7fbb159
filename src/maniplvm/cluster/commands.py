"""Commands as processes on the nodes of a Ray cluster. The nodes share a file system."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.cluster.connection import Connection, ray
from maniplvm.errors import UserError
from maniplvm.process import end_with_parent, peak_rss_mb

_RETRIES = 3
_POLL_SECONDS = 1.0
_NO_NODE_SECONDS = 300.0
_CLOSE_SECONDS = 10.0
_CHILD = "from maniplvm.cluster.commands import start_as_child; start_as_child()"


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: Its exit status.
        peak_rss_mb: Peak memory of its largest process [MB].
    """

    status: int
    peak_rss_mb: float


class RemoteCommands:
    """Runs commands on the nodes of a cluster, as a context manager; usable from several threads.

    Args:
        address: See `Connection`.
        cpus: CPUs that a command reserves.
        gpus: GPUs that a command reserves. None means 1 if the cluster has GPUs.

    Raises:
        UserError: Ray is not installed, no cluster answers, or no node has so many CPUs and GPUs.
    """

    def __init__(self, address: str, cpus: int = 1, gpus: int | None = None) -> None:
        self._connection = Connection(address)
        self._address = address
        if gpus is None:
            gpus = int(any(node.get("GPU", 0) >= 1 for node in _resources()))
        self._needs = {"CPU": cpus, "GPU": gpus}
        self._closed = False
        self._active = 0
        self._idle = threading.Condition()
        if not self._feasible():
            self.close()
            raise UserError(
                f"--ray {address}: no node has {cpus} CPUs and {gpus} GPUs, which one run needs"
            )

    def __enter__(self) -> RemoteCommands:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the commands, and disconnect."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._active == 0, _CLOSE_SECONDS)
        self._connection.close()

    def run(
        self, words: Sequence[str], log: Path, environment: Mapping[str, str], shared: Path
    ) -> Ended:
        """Run a command on a node with enough free CPUs and GPUs, and wait for its end.

        A command whose node is lost starts again on another node, so it must resume its own work.

        Args:
            words: The command line. The first word is a path on the node.
            log: File on the shared file system; standard output and error are appended.
            environment: Variables that are added to those of the node.
            shared: A file that must be visible on the node.

        Raises:
            UserError: The node does not see the files, or nodes were lost too often.
        """
        with self._idle:
            if self._closed:
                raise RuntimeError("the connection to the cluster is closed")
            self._active += 1
        try:
            return self._run(list(words), str(log), dict(environment), str(shared))
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _run(self, words: list[str], log: str, environment: dict[str, str], shared: str) -> Ended:
        task = ray().remote(_run_command)
        reference = task.options(
            num_cpus=self._needs["CPU"],
            num_gpus=self._needs["GPU"],
            max_retries=_RETRIES,
            scheduling_strategy="SPREAD",
        ).remote(words, str(Path.cwd()), log, environment, shared)
        feasible_at = time.monotonic()
        while not ray().wait([reference], timeout=_POLL_SECONDS)[0]:
            if self._closed:
                ray().cancel(reference, force=True)
                return Ended(128 + signal.SIGINT, 0.0)
            if self._feasible():
                feasible_at = time.monotonic()
            elif time.monotonic() - feasible_at > _NO_NODE_SECONDS:
                ray().cancel(reference, force=True)
                raise UserError(
                    f"--ray {self._address}: no node for a run for {_NO_NODE_SECONDS:.0f} s; run "
                    "the same command again to resume"
                )
        try:
            ended = ray().get(reference)
        except ray().exceptions.RayError as error:
            raise UserError(
                f"--ray {self._address}: a command was lost {_RETRIES + 1} times "
                f"({type(error).__name__}); run the same command again to resume"
            ) from error
        if isinstance(ended, str):
            raise UserError(f"--ray {self._address}: {ended}")
        return ended

    def _feasible(self) -> bool:
        return any(
            all(node.get(kind, 0) >= count for kind, count in self._needs.items())
            for node in _resources()
        )


def _resources() -> list[dict[str, Any]]:
    return [node["Resources"] for node in ray().nodes() if node["Alive"]]


def _run_command(
    words: list[str], folder: str, log: str, environment: dict[str, str], shared: str
) -> Ended | str:
    """On the node: run a command that ends with this process."""
    if not Path(shared).exists():
        return (
            f"{shared} is not visible on node {os.uname().nodename}; all nodes need the same file "
            "system under the same path"
        )
    child = [sys.executable, "-c", _CHILD, str(os.getpid()), *words]
    with Path(log).open("a", encoding="utf-8") as file:
        status = subprocess.run(  # noqa: S603 - our own command, no shell
            child,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **environment},
            check=False,
        ).returncode
    return Ended(status, peak_rss_mb(resource.RUSAGE_CHILDREN))


def start_as_child() -> None:
    """Replace this process by a command that ends with its parent: `-c PARENT_ID COMMAND ...`."""
    end_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell
