"""Facts about this process that results are kept with: versions and memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that decide the numbers; one that is not installed is left out.

    Python's own comes last.
    """
    found: dict[str, str] = {}
    for name in ("maniplvm", *names):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found | {"python": sys.version.split()[0]}


def peak_rss_mb(of: int = resource.RUSAGE_SELF) -> float:
    """The most memory that this process, or any of its children, has held [MB].

    Args:
        of: `resource.RUSAGE_SELF` or `resource.RUSAGE_CHILDREN`.
    """
    largest = resource.getrusage(of).ru_maxrss
    return round(largest / (2**20 if sys.platform == "darwin" else 2**10), 1)
