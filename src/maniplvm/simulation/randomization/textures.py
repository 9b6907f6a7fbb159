"""Procedural textures for tables, walls and floors: no files, any size, seeded."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from maniplvm.geometry.arrays import FloatArray

Pattern = Callable[[np.random.Generator, int], FloatArray]

BANK_SIZE = 8
"""Textures in the bank that teaches, and in the one that tests; they share none."""

_TILE = 128


@functools.lru_cache(maxsize=64)
def texture(
    number: int, teaches: bool, height: int, width: int, channels: int
) -> NDArray[np.uint8]:
    """A texture out of one of the two banks.

    Args:
        number: 0 to `BANK_SIZE - 1`.
        teaches: From the bank for teaching splits, or else from the one for test splits.
        height: [px].
        width: [px].
        channels: 1, 3 or 4; a fourth is opaque.

    Returns:
        `(height, width, channels)`.
    """
    rng = np.random.default_rng([int(teaches), number])
    pattern = _PATTERNS[number % len(_PATTERNS)](rng, _TILE)
    dark, light = _two_shades(rng)
    tile = dark + pattern[..., None] * (light - dark)
    rows, columns = (np.arange(side) * _TILE // side for side in (height, width))
    image = np.full((height, width, channels), 255, dtype=np.uint8)
    colour = np.clip(tile[rows][:, columns] * 255, 0, 255).astype(np.uint8)
    image[..., : min(channels, 3)] = colour[..., : min(channels, 3)]
    return image


def _two_shades(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    base = rng.uniform(0.35, 0.75, 3)
    base = base.mean() + 0.6 * (base - base.mean())  # muted, so that the objects stand out
    contrast = rng.uniform(0.06, 0.20)
    return np.clip(base - contrast, 0, 1), np.clip(base + contrast, 0, 1)


def _planks(rng: np.random.Generator, side: int) -> FloatArray:
    count = int(rng.integers(3, 7))
    shade = np.repeat(rng.uniform(0, 1, count), side // count + 1)[:side]
    grain = _smooth(rng, side, 2, 32)
    return np.clip(0.6 * shade[:, None] + 0.4 * grain, 0, 1)


def _checks(rng: np.random.Generator, side: int) -> FloatArray:
    period = side // int(rng.integers(2, 5))
    rows, columns = np.indices((side, side)) // period
    return ((rows + columns) % 2).astype(np.float64)


def _marble(rng: np.random.Generator, side: int) -> FloatArray:
    return 0.6 * _smooth(rng, side, 6, 6) + 0.4 * _smooth(rng, side, 16, 16)


def _speckle(rng: np.random.Generator, side: int) -> FloatArray:
    return (rng.uniform(0, 1, (side, side)) > 0.75).astype(np.float64)


def _tiles(rng: np.random.Generator, side: int) -> FloatArray:
    period = side // int(rng.integers(2, 6))
    inside = np.indices((side, side)) % period > 2
    return (inside[0] & inside[1]).astype(np.float64) * 0.8


_PATTERNS: tuple[Pattern, ...] = (_planks, _checks, _marble, _speckle, _tiles)


def _smooth(rng: np.random.Generator, side: int, rows: int, columns: int) -> FloatArray:
    """Noise of that many cells, interpolated: it wraps around, so that tiles meet."""
    coarse = rng.uniform(0, 1, (rows, columns))
    return _stretched(_stretched(coarse, side).T, side).T


def _stretched(values: FloatArray, side: int) -> FloatArray:
    place = np.arange(side) * len(values) / side
    low = place.astype(np.int64)
    share = (place - low)[:, None]
    return values[low] * (1 - share) + values[(low + 1) % len(values)] * share
