"""A trial of untrusted work in a child process with limits on its time and memory."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

MAX_CPU_S = 2
"""Processor time of a trial [s]."""

_MAX_S = 60.0
_MAX_MEMORY = 512 * 2**20


def in_limited_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Run a function in a forked process.

    Args:
        work: A function in Python only: threads of other libraries do not exist in the child.

    Returns:
        Its result, which must fit into JSON; None if the child was killed at a limit.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # The child runs Python code only and then ends, so threads of the parent do not matter.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(work, writer)
    os.close(writer)
    data, deadline = b"", time.monotonic() + _MAX_S
    try:
        while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            piece = os.read(reader, 65536)
            if not piece:
                break
            data += piece
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return json.loads(data) if data else None


def _run_child(work: Callable[[], dict[str, Any]], writer: int) -> NoReturn:
    """Run in the child, and end it without any clean-up of the parent's objects.

    Raises:
        SystemExit: never; the process ends before.
    """
    try:
        _limit_resources()
        os.write(writer, json.dumps(work()).encode())
    finally:
        os._exit(0)


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = Path("/proc/self/statm")
    if pages.is_file():  # Linux
        taken = int(pages.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        most = taken + _MAX_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
