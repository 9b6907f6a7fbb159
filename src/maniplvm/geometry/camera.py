"""A pinhole camera: where points in space appear in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """An ideal camera without lens distortion, somewhere in a frame of reference.

    Attributes:
        axes: `(3, 3)` rows right, down, forward: orthonormal, in the reference's coordinates.
        position: `(3,)` the optical centre [unit of the reference].
        focal: `(fx, fy)` [px].
        centre: `(cx, cy)` where the optical axis meets the image [px]; the image's top left
            corner is 0, 0.
    """

    axes: FloatArray
    position: FloatArray
    focal: tuple[float, float]
    centre: tuple[float, float]

    def project(self, points: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Where points appear.

        Args:
            points: `(N, 3)` in the reference's coordinates.

        Returns:
            `(N, 2)` [px, x right, y down] and the depths along the optical axis `(N,)` [unit of
            the reference]. A point behind the camera has a negative depth and no meaningful pixel.
        """
        seen = (np.asarray(points, dtype=np.float64).reshape(-1, 3) - self.position) @ self.axes.T
        depth = seen[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        pixels = np.stack(
            [self.centre[side] + self.focal[side] / safe * seen[:, side] for side in (0, 1)],
            axis=1,
        )
        return pixels, depth
