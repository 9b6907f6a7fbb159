"""Distances between traces: ordered points, one pair or a ragged batch with the same results.

A *trace* is `(N, 2)` with `N >= 1`. A *batch* is a sequence of traces of any lengths, or a
`(B, N, 2)` array. Every function takes two traces and returns a float, or two batches of equal
length and returns `(B,)`. Ragged batches are packed by repetition of the last point, which changes
none of the distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray, read_only
from maniplvm.geometry.trace_batches import Pairs, Traces, is_single, pack

RESAMPLED_POINTS = 20
"""Number of points at equal arc length in `rmse` (ManipLVM-R1, 2025)."""


def discrete_frechet(p: Traces, q: Traces) -> float | FloatArray:
    """Discrete Frechet distance (Eiter & Mannila 1994): the maximum distance of the best alignment.

    Args:
        p: A trace `(N, 2)` or a batch of B traces.
        q: A trace `(M, 2)` or a batch of B traces, in the same unit.

    Returns:
        A float, or `(B,)` [unit of the points]; 0 for equal traces, symmetric, never NaN.

    Raises:
        ValueError: an empty trace, a wrong shape, a number that is not finite, or batches of
            different lengths.
    """
    return Pairs.of(p, q).measure(lambda p, q: _frechet(_point_distances(p, q)))


def hausdorff(p: Traces, q: Traces) -> float | FloatArray:
    """Symmetric Hausdorff distance of the vertices: the largest nearest-neighbour distance.

    It is at most the discrete Frechet distance. Arguments, result and errors as in
    `discrete_frechet`.
    """
    return Pairs.of(p, q).measure(lambda p, q: _hausdorff(_point_distances(p, q)))


def rmse(p: Traces, q: Traces, points: int = RESAMPLED_POINTS) -> float | FloatArray:
    """Root mean square distance after both traces are resampled at equal arc length.

    Arguments, result and errors as in `discrete_frechet`. `points >= 2` is the number of points.
    """
    return Pairs.of(p, q).measure(lambda p, q: _rmse(p, q, points))


def endpoint_distance(p: Traces, q: Traces) -> float | FloatArray:
    """Euclidean distance between the last points.

    Arguments, result and errors as in `discrete_frechet`.
    """
    return Pairs.of(p, q).measure(_endpoint)


def startpoint_distance(p: Traces, q: Traces) -> float | FloatArray:
    """Euclidean distance between the first points.

    Arguments, result and errors as in `discrete_frechet`.
    """
    return Pairs.of(p, q).measure(lambda p, q: np.hypot(*(p[:, 0] - q[:, 0]).T))


def dtw(p: Traces, q: Traces, points: int = RESAMPLED_POINTS) -> float | FloatArray:
    """Dynamic time warping (Sakoe & Chiba 1978) of both traces at equal arc length, per point.

    Both traces are resampled to `points` points. The result is the sum of distances of the best
    alignment, divided by `points`. Discrete Frechet and Hausdorff depend on the largest distance only.
    This average depends on all of them. Unlike `rmse`, it allows different speeds along the traces.

    Arguments, result and errors as in `discrete_frechet`; `points >= 2`.
    """

    def average(p: FloatArray, q: FloatArray) -> FloatArray:
        sampled = (_resample(side, points).transpose(2, 1, 0) for side in (p, q))
        return _dtw(_point_distances(*sampled)) / points

    return Pairs.of(p, q).measure(average)


def resample(trace: Traces, points: int = RESAMPLED_POINTS) -> FloatArray:
    """Points at equal arc length along a trace, both ends included.

    Repeated points have no effect. A trace of zero length gives its position `points` times.

    Args:
        trace: `(N, 2)` or a batch of B traces.
        points: The number of points, at least 2.

    Returns:
        `(points, 2)` or `(B, points, 2)`.

    Raises:
        ValueError: as in `discrete_frechet`, or fewer than 2 points.
    """
    single = is_single(trace)
    packed = pack(cast(Sequence[ArrayLike], [trace] if single else trace))
    sampled = _resample(packed, points).transpose(2, 1, 0)
    return sampled[0] if single else sampled


@dataclass(frozen=True)
class TraceDistances:
    """The four distances of a batch of pairs, each `(B,)` [unit of the points]."""

    dfd: FloatArray
    hd: FloatArray
    rmse: FloatArray
    end: FloatArray


def trace_distances(p: Traces, q: Traces, points: int = RESAMPLED_POINTS) -> TraceDistances:
    """Compute the four distances at once, which is faster than four calls.

    Time and memory of a pair grow with the product of both lengths.

    Args:
        p: A batch of B traces.
        q: A batch of B traces, in the same unit.
        points: The number of points of `rmse`.

    Raises:
        ValueError: as in `discrete_frechet`.
    """

    def four(p: FloatArray, q: FloatArray) -> FloatArray:
        table = _point_distances(p, q)
        return np.stack([_frechet(table), _hausdorff(table), _rmse(p, q, points), _endpoint(p, q)])

    return TraceDistances(*Pairs.of(p, q).measure_rows(four, 4))


def _point_distances(p: FloatArray, q: FloatArray) -> FloatArray:
    """Distances `(N, M, B)`. The batch comes last, so that later steps use contiguous rows."""
    p = np.ascontiguousarray(p.transpose(2, 1, 0))
    q = np.ascontiguousarray(q.transpose(2, 1, 0))
    squared = (p[0, :, None] - q[0, None]) ** 2
    squared += (p[1, :, None] - q[1, None]) ** 2
    return np.sqrt(squared, out=squared)


def _hausdorff(table: FloatArray) -> FloatArray:
    return np.maximum(table.min(axis=1).max(axis=0), table.min(axis=0).max(axis=0))


def _frechet(table: FloatArray) -> FloatArray:
    """The smallest possible maximum distance over all alignments."""
    return _best_alignment(table, np.maximum)


def _dtw(table: FloatArray) -> FloatArray:
    """The smallest possible sum of distances over all alignments."""
    return _best_alignment(table, np.add)


def _best_alignment(table: FloatArray, combine: np.ufunc) -> FloatArray:
    """Dynamic programming over anti-diagonals, for all rows and the whole batch at once.

    `skewed[s, i] = table[i, s - i]`, and infinity outside the table. Each step needs only the two
    previous diagonals. Row 0 of each diagonal is infinite.
    """
    n, m, batch = table.shape
    skewed = np.full((n + m - 1, n, batch), np.inf)
    for i in range(n):
        skewed[i : i + m, i] = table[i]
    before = np.full((n + 1, batch), np.inf)
    last = np.full((n + 1, batch), np.inf)
    last[1:] = skewed[0]
    for diagonal in skewed[1:]:
        step = np.full((n + 1, batch), np.inf)
        reach = np.minimum(last[1:], last[:-1])
        np.minimum(reach, before[:-1], out=reach)
        combine(reach, diagonal, out=step[1:])
        before, last = last, step
    return last[n]


def _resample(traces: FloatArray, points: int) -> FloatArray:
    """Points `(2, points, B)` at equal arc length. The batch comes last for contiguous rows."""
    if points < 2:
        raise ValueError(f"resample: needs at least 2 points, got {points}")
    position = np.ascontiguousarray(traces.transpose(2, 1, 0))
    batch = len(traces)
    if position.shape[1] == 1:
        return np.repeat(position, points, axis=1)
    step = position[:, 1:] - position[:, :-1]
    length = np.sqrt((step**2).sum(axis=0))
    end = np.cumsum(length, axis=0)
    wanted = _even_fractions(points)[:, None] * end[-1]
    segment = (wanted[:, None] >= end[:-1]).sum(axis=1)
    cell = segment * batch + np.arange(batch)
    per_length = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    fraction = np.minimum((wanted - (end - length).take(cell)) * per_length.take(cell), 1.0)
    sampled = np.empty((2, points, batch))
    for axis in (0, 1):
        sampled[axis] = position[axis].take(cell) + fraction * step[axis].take(cell)
    return sampled


@lru_cache(maxsize=16)
def _even_fractions(points: int) -> FloatArray:
    return read_only(np.linspace(0.0, 1.0, points))


_SMALL_BATCH = 64
"""Largest batch for which both sides are resampled in one call, which is then faster."""


def _rmse(p: FloatArray, q: FloatArray, points: int) -> FloatArray:
    if len(p) <= _SMALL_BATCH and p.shape == q.shape:
        both = _resample(np.concatenate([p, q]), points)
        offset = both[..., : len(p)] - both[..., len(p) :]
    else:
        offset = _resample(p, points) - _resample(q, points)
    return np.sqrt((offset**2).sum(axis=0).mean(axis=0))


def _endpoint(p: FloatArray, q: FloatArray) -> FloatArray:
    offset = p[:, -1] - q[:, -1]
    return np.hypot(offset[:, 0], offset[:, 1])
