"""Versions and memory of this process, which results store; and the end of child processes."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of `maniplvm`, of other packages and of Python, by name.

    Args:
        names: Names of the other packages. Packages that are not installed are omitted.
    """
    found: dict[str, str] = {}
    for name in ("maniplvm", *names):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found | {"python": sys.version.split()[0]}


def peak_rss_mb(of: int = resource.RUSAGE_SELF) -> float:
    """Peak memory of this process, or of its largest child [MB].

    Args:
        of: `resource.RUSAGE_SELF` or `resource.RUSAGE_CHILDREN`.
    """
    largest = resource.getrusage(of).ru_maxrss
    return round(largest / (2**20 if sys.platform == "darwin" else 2**10), 1)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Let the system send this process a signal when its parent ends, in whatever way it ends.

    Only Linux offers this (`prctl` with `PR_SET_PDEATHSIG`). Elsewhere nothing happens.

    Args:
        parent: Process id of the parent, to notice that it has ended already.
        number: The signal. One that the process handles lets it end its own children first.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can still be found.

    Only Linux offers this (`prctl` with `PR_SET_CHILD_SUBREAPER`). Elsewhere nothing happens.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)
