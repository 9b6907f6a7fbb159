"""Views: maps from an original image to the input image of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray

Size: TypeAlias = tuple[int, int]
"""`(width, height)` [px]."""

MAX_ASPECT_RATIO = 200
"""Maximum aspect ratio of an image for the Qwen processors."""


@dataclass(frozen=True)
class SmartResize:
    """The rule of the Qwen-VL processors for the size of the input image.

    Attributes:
        factor: The divisor of both sides [px]: patch size times merge size.
        min_pixels: The smallest area [px squared].
        max_pixels: The largest area [px squared].
    """

    factor: int = 28
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280

    def size(self, original: Size) -> Size:
        """The input size `(width, height)` for an original `(width, height)` [px].

        Raises:
            ValueError: a side below one pixel, or an aspect ratio above `MAX_ASPECT_RATIO`.
        """
        width, height = checked_size(original)
        if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
            raise ValueError(
                f"a {width}x{height} image is too narrow: aspect ratio above {MAX_ASPECT_RATIO}"
            )
        factor = self.factor
        seen = round(width / factor) * factor, round(height / factor) * factor
        if seen[0] * seen[1] > self.max_pixels:
            shrink = math.sqrt(width * height / self.max_pixels)
            return (
                max(factor, math.floor(width / shrink / factor) * factor),
                max(factor, math.floor(height / shrink / factor) * factor),
            )
        if seen[0] * seen[1] < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (width * height))
            return (
                math.ceil(width * grow / factor) * factor,
                math.ceil(height * grow / factor) * factor,
            )
        return seen


@dataclass(frozen=True)
class View:
    """Map from an original to an input image: `seen = original * scale + offset`, per axis.

    Attributes:
        original: The size `(width, height)` of the original [px].
        seen: The size `(width, height)` of the input image of the model [px].
        scale: Input pixels per original pixel, `(x, y)`.
        offset: The position of the original's top left corner in the input image, `(x, y)` [px].
    """

    original: Size
    seen: Size
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def identity(cls, original: Size) -> View:
        """The map for an unchanged image."""
        size = checked_size(original)
        return cls(size, size)

    @classmethod
    def resized(cls, original: Size, seen: Size) -> View:
        """The map for an image resized to `seen`, with one scale for each axis."""
        (width, height), (new_width, new_height) = checked_size(original), checked_size(seen)
        return cls(original, seen, (new_width / width, new_height / height))

    @classmethod
    def letterboxed(cls, original: Size, seen: Size) -> View:
        """The map for an image resized to fit into `seen` at its aspect ratio, then padded."""
        (width, height), (new_width, new_height) = checked_size(original), checked_size(seen)
        ratio = min(new_width / width, new_height / height)
        inner = max(1, round(width * ratio)), max(1, round(height * ratio))
        margin = float((new_width - inner[0]) // 2), float((new_height - inner[1]) // 2)
        return cls(original, seen, (inner[0] / width, inner[1] / height), margin)

    @classmethod
    def cropped(cls, original: Size, box: tuple[int, int, int, int]) -> View:
        """The map for a crop to `x1, y1, x2, y2` [px]. A box beyond the image edge adds padding.

        Raises:
            ValueError: a box without area.
        """
        x1, y1, x2, y2 = box
        return cls(
            checked_size(original),
            checked_size((x2 - x1, y2 - y1)),
            offset=(float(-x1), float(-y1)),
        )

    def then(self, after: View) -> View:
        """Compose this map with a second one, such as a crop with a later resize.

        Raises:
            ValueError: the second map starts from another size.
        """
        if after.original != self.seen:
            raise ValueError(
                f"a view of {after.original} cannot follow one that ends at {self.seen}"
            )
        return View(
            self.original,
            after.seen,
            (self.scale[0] * after.scale[0], self.scale[1] * after.scale[1]),
            (
                self.offset[0] * after.scale[0] + after.offset[0],
                self.offset[1] * after.scale[1] + after.offset[1],
            ),
        )

    def to_seen(self, points: ArrayLike) -> FloatArray:
        """Convert original pixels to input pixels, `(..., 2)`."""
        return np.asarray(points, dtype=np.float64) * self.scale + self.offset

    def to_original(self, points: ArrayLike) -> FloatArray:
        """Convert input pixels to original pixels, `(..., 2)`."""
        return (np.asarray(points, dtype=np.float64) - self.offset) / self.scale


def checked_size(size: Size) -> Size:
    """Check a size and convert it to integers.

    Raises:
        ValueError: a side below one pixel.
    """
    width, height = size
    if width < 1 or height < 1:
        raise ValueError(f"an image needs at least one pixel a side, got {width}x{height}")
    return int(width), int(height)
