"""Run the commands of a launch: signals are passed on, and no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from maniplvm.errors import UserError
from maniplvm.process import adopt_orphans, end_with_parent
from maniplvm.training.launching.commands import Command

GRACE = 30.0
"""Time that processes have to end after a signal, before they are killed [s]."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERVAL = 0.1


def run_commands(
    training: Command,
    server: Command | None = None,
    *,
    grace: float = GRACE,
    report: Callable[[str], None] = print,
) -> int:
    """Run the training and its vLLM server until the training ends.

    Signals to this process are passed on. If the server ends first, the training is stopped. Each
    process that was started, by whichever process, has ended when this function returns.

    Args:
        training: The command that decides when all ends: the training, or a server alone.
        server: The vLLM server, which is stopped after the training.
        grace: Time that processes have to end after a signal, before they are killed [s].
        report: Receives a line when the server ends first.

    Returns:
        The exit status of the training; that of the server if it failed first. A process that a
        signal ended has the status that shells give to it (128 and the number of the signal).

    Raises:
        UserError: a program is not installed.
    """
    import psutil  # a dependency of accelerate

    adopt_orphans()
    others = {each.pid for each in psutil.Process().children()}
    children = list[subprocess.Popen[bytes]]()
    with _forwarded_signals(children) as received:
        try:
            served = None if server is None else _start(server, children)
            main = _start(training, children)
            while main.poll() is None and not received:
                if served is not None and served.poll() is not None:
                    report(f"the vLLM server ended with status {_status(served)}: {server}")
                    return _status(served) or 1
                time.sleep(_INTERVAL)
            if received:
                _wait(main, grace)
                return _status(main) or 128 + received[0]
            return _status(main)
        finally:
            _end_descendants(others, grace)
            for child in children:
                child.wait()


def _start(command: Command, children: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    parent = os.getpid()
    try:
        child = subprocess.Popen(  # noqa: S603 - the arguments are those of a recipe, without a shell
            command.arguments,
            env={**os.environ, **command.environment},
            start_new_session=True,  # Ctrl-C then reaches it once, from this process
            preexec_fn=lambda: end_with_parent(parent, signal.SIGTERM),
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{command.arguments[0]}: no such program; install it in this environment"
        ) from error
    children.append(child)
    return child


@contextmanager
def _forwarded_signals(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Pass signals on to the children; yields the numbers of those that arrived."""
    received = list[int]()

    def forward(number: int, _: Any) -> None:
        received.append(number)
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_descendants(others: Collection[int], grace: float) -> None:
    """End all processes below this one: ask them first, and kill those that stay.

    Args:
        others: Ids of children that this launch did not start; they stay.
        grace: Time to end after the first signal [s].
    """
    import psutil

    below = _descendants(others)
    for process in below:
        _signal(process, signal.SIGTERM)
    psutil.wait_procs(below, timeout=grace)
    while left := _descendants(others):
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=grace)


def _descendants(others: Collection[int]) -> list[Any]:
    """The children of this process besides `others`, and all processes below them."""
    import psutil

    below = psutil.Process().children(recursive=True)
    kept = set(others)
    for process in below:  # parents come before their children
        if process.pid not in kept and _parent(process) in kept:
            kept.add(process.pid)
    return [process for process in below if process.pid not in kept]


def _parent(process: Any) -> int:
    """The id of a process's parent; 0 if the process has ended."""
    import psutil

    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _signal(process: Any, number: signal.Signals) -> None:
    """Send a signal to a process, which may just have ended."""
    import psutil

    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _wait(child: subprocess.Popen[bytes], grace: float) -> None:
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _status(child: subprocess.Popen[bytes]) -> int:
    """The exit status of a child that has ended, as shells give it."""
    code = child.wait()
    return 128 - code if code < 0 else code
