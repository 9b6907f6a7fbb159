"""Versions and memory of this process, which results store."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version


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
