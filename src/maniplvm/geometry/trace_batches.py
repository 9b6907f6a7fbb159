"""Ragged batches of traces, packed into arrays in groups of similar length.

A trace is packed by repetition of its last point, which changes no distance of `geometry.curves`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray, IntArray

Traces: TypeAlias = ArrayLike | Sequence[ArrayLike]
"""A trace `(N, 2)`, or a batch: a sequence of traces or a `(B, N, 2)` array."""


def pack(traces: Sequence[ArrayLike]) -> FloatArray:
    """Pack a ragged batch into `(B, N, 2)`: the last point of shorter traces is repeated.

    Raises:
        ValueError: a trace is empty, of a wrong shape or not finite. The message gives its index.
    """
    if not len(traces):
        return np.empty((0, 1, 2))
    batch = Ragged.of(traces)
    return batch.packed(slice(None), int(batch.lengths.max()))


@dataclass(frozen=True)
class Ragged:
    """Checked traces, one after the other.

    Attributes:
        flat: `(sum of lengths, 2)`.
        lengths: `(B,)` number of points of each trace.
    """

    flat: FloatArray
    lengths: IntArray

    @classmethod
    def of(cls, traces: Sequence[ArrayLike]) -> Ragged:
        """Check traces; raises as `pack` does."""
        arrays = [np.asarray(trace, dtype=np.float64) for trace in traces]
        shapes = [array.shape for array in arrays]
        for shape in set(shapes):
            if len(shape) != 2 or shape[0] == 0 or shape[1] != 2:
                index = shapes.index(shape)
                raise ValueError(f"trace {index}: expected shape (N >= 1, 2), got {shape}")
        batch = cls(np.concatenate(arrays), np.array([shape[0] for shape in shapes]))
        if not np.isfinite(batch.flat).all():
            row = int(np.flatnonzero(~np.isfinite(batch.flat).all(axis=1))[0])
            index = int(np.searchsorted(batch.starts, row, side="right")) - 1
            raise ValueError(f"trace {index}: every coordinate must be finite")
        return batch

    @property
    def starts(self) -> IntArray:
        """`(B,)` position of each trace's first point in `flat`."""
        return np.cumsum(self.lengths) - self.lengths

    def packed(self, rows: slice | IntArray, points: int) -> FloatArray:
        """Some of the traces as `(B, points, 2)`: the last point of shorter traces is repeated."""
        steps = np.minimum(np.arange(points), self.lengths[rows][:, None] - 1)
        return self.flat[self.starts[rows][:, None] + steps]


_LENGTH_CLASSES = (32, 128, 512, 2048)
"""Pairs are measured in groups whose longest traces have about the same number of points."""


@dataclass(frozen=True)
class Group:
    """Pairs that are measured together.

    Attributes:
        rows: Their positions in the batch.
        p: `(B, N, 2)`.
        q: `(B, M, 2)`.
    """

    rows: slice | IntArray
    p: FloatArray
    q: FloatArray


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs, or one pair.

    One long trace would otherwise make every pair of its batch as slow as its own. A trace's
    rounding depends on whether its last point is repeated at all, and on nothing else. So each
    trace that is shorter than the longest of the batch gets at least one repetition, and the
    results are those of one group.
    """

    groups: list[Group]
    count: int
    single: bool

    @classmethod
    def of(cls, p: Traces, q: Traces) -> Pairs:
        """Pack two traces or two batches.

        Raises:
            ValueError: an invalid trace, a trace and a batch, or batches of different lengths.
        """
        single = is_single(p)
        if single != is_single(q):
            raise ValueError("compare a trace with a trace, or a batch with a batch")
        first = cast(Sequence[ArrayLike], [p] if single else p)
        second = cast(Sequence[ArrayLike], [q] if single else q)
        if len(first) != len(second):
            raise ValueError(f"batches differ in length: {len(first)} and {len(second)} traces")
        count = len(first)
        if not count:
            nothing = pack([])
            return cls([Group(slice(None), nothing, nothing)], 0, single)
        batch = Ragged.of([*first, *second])
        longest = int(batch.lengths.max())
        if longest <= _LENGTH_CLASSES[0]:
            packed = batch.packed(slice(None), longest)
            return cls([Group(slice(None), packed[:count], packed[count:])], count, single)
        lengths = batch.lengths.reshape(2, count)
        of_pair: IntArray = (lengths.max(axis=0)[:, None] > np.array(_LENGTH_CLASSES)).sum(axis=1)
        groups = list[Group]()
        for each in sorted(set(of_pair.tolist())):
            rows = np.flatnonzero(of_pair == each)
            if len(rows) == 1 < count:  # NumPy adds a single column in another order than several
                rows = np.repeat(rows, 2)
            p, q = (
                batch.packed(rows + side * count, min(int(own[rows].max()) + 1, longest))
                for side, own in enumerate(lengths)
            )
            groups.append(Group(rows, p, q))
        return cls(groups, count, single)

    def measure(
        self, function: Callable[[FloatArray, FloatArray], FloatArray]
    ) -> float | FloatArray:
        """Apply a function to every group; a float for one pair, else `(B,)`."""
        (values,) = self.measure_rows(lambda p, q: function(p, q)[None], 1)
        return float(values[0]) if self.single else values

    def measure_rows(
        self, function: Callable[[FloatArray, FloatArray], FloatArray], count: int
    ) -> FloatArray:
        """Apply a function with `(count, B)` results to every group."""
        values = np.empty((count, self.count))
        for group in self.groups:
            values[:, group.rows] = function(group.p, group.q)
        return values


def is_single(trace: Traces) -> bool:
    """Whether this is one trace, whose elements are points."""
    if isinstance(trace, np.ndarray):
        return trace.ndim < 3 and trace.dtype != object
    sequence = cast(Sequence[ArrayLike], trace)
    return len(sequence) > 0 and np.ndim(sequence[0]) < 2
