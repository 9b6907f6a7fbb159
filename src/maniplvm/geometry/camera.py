"""A pinhole camera: projects points in space to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class PinholeCamera:
    """A camera without lens distortion, with a pose in a reference frame.

    Attributes:
        axes: The camera axes right, down and forward as rows, `(3, 3)`: orthonormal, in the
            coordinates of the reference frame.
        position: The optical centre, `(3,)` [unit of the reference frame].
        focal: The focal lengths `(fx, fy)` [px].
        centre: The principal point `(cx, cy)` [px]. The top left corner of the image is 0, 0.
    """

    axes: FloatArray
    position: FloatArray
    focal: tuple[float, float]
    centre: tuple[float, float]

    def project(self, points: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project points to the image.

        Args:
            points: `(N, 3)` in the coordinates of the reference frame.

        Returns:
            `(N, 2)` [px, x right, y down] and the depths along the optical axis `(N,)` [unit of
            the reference frame]. A point behind the camera has a negative depth. Its pixel has no
            meaning.
        """
        in_camera = (
            np.asarray(points, dtype=np.float64).reshape(-1, 3) - self.position
        ) @ self.axes.T
        depth = in_camera[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        pixels = np.stack(
            [self.centre[side] + self.focal[side] / safe * in_camera[:, side] for side in (0, 1)],
            axis=1,
        )
        return pixels, depth
