"""Array types of this package."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
"""Coordinates, distances and scores."""

IntArray: TypeAlias = NDArray[np.integer[Any]]
"""Indices and counts."""

BoolArray: TypeAlias = NDArray[np.bool_]
"""Masks and conditions."""


def read_only(array: FloatArray) -> FloatArray:
    """Make an array read-only and return it."""
    array.setflags(write=False)
    return array
