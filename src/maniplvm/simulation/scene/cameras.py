"""A pinhole camera, and the search for a camera pose that shows a set of points.

The geometry is that of MuJoCo's free camera. Rendered images and projected points therefore agree
to a fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.camera import PinholeCamera

MIN_DISTANCE, MAX_DISTANCE = 0.40, 2.20
"""Bounds of the distance between a camera and its lookat point [m]."""


@dataclass(frozen=True)
class Camera:
    """Pose, field of view and image size of a camera.

    Attributes:
        lookat: The point in the image's centre, `(3,)` [m, world].
        distance: Distance from that point [m].
        azimuth: Viewing direction around the vertical axis [deg].
        elevation: Elevation of the viewing direction; negative looks down [deg].
        fovy: Vertical field of view [deg].
        size: `(width, height)` [px].
    """

    lookat: tuple[float, float, float]
    distance: float
    azimuth: float
    elevation: float
    fovy: float
    size: tuple[int, int]

    @cached_property
    def axes(self) -> FloatArray:
        """Rows right, up, forward; orthonormal, `(3, 3)`, world coordinates."""
        azimuth, elevation = np.deg2rad(self.azimuth), np.deg2rad(self.elevation)
        forward = np.array(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ]
        )
        right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
        return np.stack([right, np.cross(right, forward), forward])

    @cached_property
    def position(self) -> FloatArray:
        """The optical centre, `(3,)` [m, world]."""
        return np.asarray(self.lookat) - self.distance * self.axes[2]

    @property
    def focal(self) -> float:
        """Focal length [px]. Pixels are square."""
        return self.size[1] / 2 / float(np.tan(np.deg2rad(self.fovy) / 2))

    @cached_property
    def _pinhole(self) -> PinholeCamera:
        right, up, forward = self.axes
        width, height = self.size
        return PinholeCamera(
            axes=np.stack([right, -up, forward]),
            position=self.position,
            focal=(self.focal, self.focal),
            centre=(width / 2, height / 2),
        )

    def project(self, points: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project points into the image.

        Args:
            points: `(N, 3)` [m, world].

        Returns:
            `(N, 2)` [px, x right, y down, the top left corner of the image is 0, 0] and the
            depths along the optical axis `(N,)` [m]. A point behind the camera has a negative
            depth and no meaningful pixel.
        """
        return self._pinhole.project(points)

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> FloatArray:
        """The inverse of `project`.

        Args:
            pixels: `(N, 2)` [px].
            depth: `(N,)` along the optical axis [m].

        Returns:
            `(N, 3)` [m, world].
        """
        pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        z = np.asarray(depth, dtype=np.float64).reshape(-1)
        width, height = self.size
        x = (pixels[:, 0] - width / 2) / self.focal
        y = (height / 2 - pixels[:, 1]) / self.focal
        return self.position + np.stack([x * z, y * z, z], axis=1) @ self.axes

    def to_json(self) -> dict[str, Any]:
        """Pose and intrinsics as JSON-ready values. `from_json` restores them exactly."""
        width, height = self.size
        return {
            "lookat": list(self.lookat),
            "distance": self.distance,
            "azimuth": self.azimuth,
            "elevation": self.elevation,
            "fovy": self.fovy,
            "size": [width, height],
            "focal": self.focal,
            "position": self.position.tolist(),
            "axes": self.axes.tolist(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Camera:
        """The inverse of `to_json`."""
        x, y, z = plain["lookat"]
        width, height = plain["size"]
        return cls(
            lookat=(float(x), float(y), float(z)),
            distance=float(plain["distance"]),
            azimuth=float(plain["azimuth"]),
            elevation=float(plain["elevation"]),
            fovy=float(plain["fovy"]),
            size=(int(width), int(height)),
        )


@dataclass(frozen=True)
class Framing:
    """Viewing direction of a camera and placement of the subject in the image.

    Attributes:
        azimuth: See `Camera` [deg].
        elevation: See `Camera` [deg].
        fovy: See `Camera` [deg].
        fill: Share of the image's side that the subject spans.
        shift: `(2,)` position of the subject within the free margin, each 0..1; 0.5 is centred.
    """

    azimuth: float
    elevation: float
    fovy: float
    fill: float
    shift: tuple[float, float]


def fit_camera(
    points: ArrayLike, framing: Framing, size: tuple[int, int], margin: float = 0.04
) -> Camera | None:
    """The nearest camera that shows all points.

    Args:
        points: `(N, 3)` points that must be in the image [m, world].
        framing: Viewing direction and placement.
        size: `(width, height)` [px].
        margin: Share of each side that stays free at the image's edge.

    Returns:
        The camera, or None if no distance from `MIN_DISTANCE` to `MAX_DISTANCE` fits.
    """
    subject = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    centre = (subject.min(0) + subject.max(0)) / 2
    sides = np.array(size, dtype=np.float64)
    camera = Camera(
        lookat=_triple(centre),
        distance=MAX_DISTANCE,
        azimuth=framing.azimuth,
        elevation=framing.elevation,
        fovy=framing.fovy,
        size=size,
    )
    if _span(camera, subject) > framing.fill:
        return None
    near, far = MIN_DISTANCE, MAX_DISTANCE
    while far - near > 0.005:
        middle = (near + far) / 2
        if _span(replace(camera, distance=middle), subject) > framing.fill:
            near = middle
        else:
            far = middle
    camera = replace(camera, distance=far)
    for _ in range(3):  # a shifted camera changes the perspective slightly, so repeat
        pixels, depth = camera.project(subject)
        low, high = pixels.min(0), pixels.max(0)
        room = (1 - 2 * margin) * sides - (high - low)
        wanted = margin * sides + np.maximum(room, 0.0) * np.array(framing.shift)
        move = (wanted - low) * float(depth.mean()) / camera.focal
        lookat = np.asarray(camera.lookat) - move[0] * camera.axes[0] + move[1] * camera.axes[1]
        camera = replace(camera, lookat=_triple(lookat))
    pixels, depth = camera.project(subject)
    edge = margin / 2 * sides
    inside = (pixels >= edge).all() and (pixels <= sides - edge).all() and depth.min() > 0.1
    return camera if inside else None


def _span(camera: Camera, subject: FloatArray) -> float:
    pixels, depth = camera.project(subject)
    if depth.min() < 0.1:
        return float("inf")
    return float((np.ptp(pixels, axis=0) / np.array(camera.size)).max())


def _triple(values: FloatArray) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 5) for value in values)
    return x, y, z
