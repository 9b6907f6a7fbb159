"""Views: how the image that a model saw was made from the original."""

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
"""Beyond this the Qwen processors refuse an image."""


@dataclass(frozen=True)
class SmartResize:
    """How the Qwen-VL processors choose the size of the image that the model sees.

    Attributes:
        factor: Both sides become multiples of this [px]: patch size times merge size.
        min_pixels: Smallest area [px squared].
        max_pixels: Largest area [px squared].
    """

    factor: int = 28
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280

    def size(self, original: Size) -> Size:
        """The seen `(width, height)` of an original `(width, height)`.

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
    """How a seen image was made from an original: `seen = original * scale + offset`, per axis.

    Attributes:
        original: `(width, height)` [px] of the original.
        seen: `(width, height)` [px] of the image that the model saw.
        scale: Seen pixels per original pixel, `(x, y)`.
        offset: Where the original's corner lies in the seen image, `(x, y)` [px].
    """

    original: Size
    seen: Size
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def identity(cls, original: Size) -> View:
        """The model saw the original itself."""
        size = checked_size(original)
        return cls(size, size)

    @classmethod
    def resized(cls, original: Size, seen: Size) -> View:
        """Stretched to `seen`; each axis has its own scale."""
        (width, height), (new_width, new_height) = checked_size(original), checked_size(seen)
        return cls(original, seen, (new_width / width, new_height / height))

    @classmethod
    def letterboxed(cls, original: Size, seen: Size) -> View:
        """Shrunk or grown to fit into `seen` with its aspect kept, then padded on both sides."""
        (width, height), (new_width, new_height) = checked_size(original), checked_size(seen)
        ratio = min(new_width / width, new_height / height)
        inner = max(1, round(width * ratio)), max(1, round(height * ratio))
        margin = float((new_width - inner[0]) // 2), float((new_height - inner[1]) // 2)
        return cls(original, seen, (inner[0] / width, inner[1] / height), margin)

    @classmethod
    def cropped(cls, original: Size, box: tuple[int, int, int, int]) -> View:
        """Cut out `x1, y1, x2, y2` [px]; a box beyond the image's edge pads it.

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
        """This map followed by another, such as a crop and then a resize.

        Raises:
            ValueError: the second does not start from the size with which this one ends.
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
        """Original pixels to seen pixels, `(..., 2)`."""
        return np.asarray(points, dtype=np.float64) * self.scale + self.offset

    def to_original(self, points: ArrayLike) -> FloatArray:
        """Seen pixels to original pixels, `(..., 2)`."""
        return (np.asarray(points, dtype=np.float64) - self.offset) / self.scale


def checked_size(size: Size) -> Size:
    """A size in whole pixels.

    Raises:
        ValueError: a side below one pixel.
    """
    width, height = size
    if width < 1 or height < 1:
        raise ValueError(f"an image needs at least one pixel a side, got {width}x{height}")
    return int(width), int(height)
