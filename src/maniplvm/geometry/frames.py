"""Coordinate frames: between the original image's pixels and the numbers a model speaks.

Two maps in a row. A `View` says how the image that the model saw was made from the original
(resize, letterbox, crop, or several in a row). A `Frame` adds the numeric range and the order of
the axes in which the model writes. A frame is declared, never guessed from the size of a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.views import Size, SmartResize, View, checked_size

__all__ = [
    "FRAMES",
    "QWEN2_RESIZE",
    "Frame",
    "FrameSpec",
    "Size",
    "SmartResize",
    "View",
    "resolve_frame",
]


@dataclass(frozen=True)
class Frame:
    """The numbers in which a model reads and writes positions on one image.

    Attributes:
        name: For messages and reports.
        view: The image that the model saw.
        span: Numeric range of a whole side, from 0; None means the seen image's pixels.
        step: The smallest difference that the model writes, in its own numbers.
        y_first: Whether the model writes y before x.
    """

    name: str
    view: View
    span: float | None = None
    step: float = 1.0
    y_first: bool = False

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The largest valid numbers, in the order in which they are written; the smallest is 0."""
        width, height = self.view.seen
        x, y = (float(width), float(height)) if self.span is None else (self.span, self.span)
        return (y, x) if self.y_first else (x, y)

    @property
    def quantum(self) -> tuple[float, float]:
        """One `step` in original pixels, `(x, y)`: twice the worst rounding error."""
        scale, _ = self._affine
        return self.step / float(scale[0]), self.step / float(scale[1])

    def encode(self, points: ArrayLike, rounded: bool = True) -> FloatArray:
        """Original pixels, x first, to the model's numbers in the model's order.

        Args:
            points: `(..., 2)` [px of the original], x first.
            rounded: Round to `step` and keep inside the range, as in the text that a model is
                taught; False gives the exact map.

        Returns:
            `(..., 2)` in the model's numbers and axis order.
        """
        scale, offset = self._affine
        numbers = np.asarray(points, dtype=np.float64) * scale + offset
        if self.y_first:
            numbers = numbers[..., ::-1]
        if rounded:
            numbers = np.round(np.round(numbers / self.step) * self.step, 9)
            numbers = np.clip(numbers, 0.0, self.limits)
        return numbers

    def decode(self, numbers: ArrayLike) -> FloatArray:
        """The model's numbers, in the model's order, to original pixels, x first, `(..., 2)`."""
        values = np.array(numbers, dtype=np.float64)
        if self.is_identity:
            return values
        scale, offset = self._affine
        if self.y_first:
            values = values[..., ::-1]
        return (values - offset) / scale

    def reach(self, numbers: ArrayLike) -> float:
        """How far outside the range the worst number lies, in whole ranges; 0 means inside.

        Args:
            numbers: `(..., 2)` in the model's numbers and order.
        """
        share = np.asarray(numbers, dtype=np.float64) / self.limits
        return float(max(0.0, -share.min(), share.max() - 1.0)) if share.size else 0.0

    @cached_property
    def _affine(self) -> tuple[FloatArray, FloatArray]:
        """`number = original pixel * scale + offset`, x first."""
        units = (
            np.ones(2) if self.span is None else self.span / np.array(self.view.seen, np.float64)
        )
        return np.array(self.view.scale) * units, np.array(self.view.offset) * units

    @cached_property
    def is_identity(self) -> bool:
        """Whether the model's numbers are the original's pixels, x first."""
        scale, offset = self._affine
        return not self.y_first and bool((scale == 1).all() and (offset == 0).all())


@dataclass(frozen=True)
class FrameSpec:
    """A model family's convention; an image's size makes a `Frame` of it.

    Attributes:
        name: The family.
        span: As in `Frame`.
        step: As in `Frame`.
        y_first: As in `Frame`.
        resize: The processor's resize where the model speaks pixels of what it saw.
    """

    name: str
    span: float | None = None
    step: float = 1.0
    y_first: bool = False
    resize: SmartResize | None = None

    def bind(self, original: Size) -> Frame:
        """The frame of an image of `(width, height)` [px] that was only resized.

        For an image that was cropped or padded, replace the result's `view`.
        """
        return _bound(self, checked_size(original))


@lru_cache(maxsize=4096)
def _bound(spec: FrameSpec, original: Size) -> Frame:
    seen = spec.resize.size(original) if spec.resize else original
    return Frame(spec.name, View.resized(original, seen), spec.span, spec.step, spec.y_first)


QWEN2_RESIZE = SmartResize(factor=28, min_pixels=56 * 56, max_pixels=28 * 28 * 16384)
"""As in the published Qwen2-VL and Qwen2.5-VL checkpoints."""

FRAMES: Mapping[str, FrameSpec] = {
    spec.name: spec
    for spec in (
        FrameSpec("pixels"),
        FrameSpec("unit", span=1.0, step=0.001),
        FrameSpec("qwen2_vl", resize=QWEN2_RESIZE),
        FrameSpec("qwen2_5_vl", resize=QWEN2_RESIZE),
        FrameSpec("qwen3_vl", span=1000.0),
        FrameSpec("robobrain1", span=1.0, step=0.001),
        FrameSpec("robobrain2"),
        FrameSpec("robopoint", span=1.0, step=0.001),
        FrameSpec("vla_r1", span=1.0, step=0.001),
        FrameSpec("gemini_er", span=1000.0, y_first=True),
        FrameSpec("molmo", span=100.0, step=0.1),
        FrameSpec("molmoact", span=255.0),
        FrameSpec("embedded", span=99.0),
    )
}
"""Every frame by name; `pixels` is the original image's own."""


def resolve_frame(
    frame: str | Mapping[str, Any] | FrameSpec | Frame | None, original: Size
) -> Frame:
    """What a caller or a predictions file declares, as a frame on one image.

    Args:
        frame: A name from `FRAMES`; a mapping with `name` and any of `min_pixels`, `max_pixels`,
            `factor` (the processor's settings); a `FrameSpec`; a bound `Frame`, which must be of
            this image's size; or None for original pixels.
        original: `(width, height)` [px] of the original image.

    Raises:
        ValueError: an unknown name or key (the valid ones are listed), or a frame of another size.
    """
    if isinstance(frame, Frame):
        if frame.view.original != tuple(original):
            raise ValueError(
                f"frame {frame.name} is bound to a {frame.view.original} image, not to {original}"
            )
        return frame
    if isinstance(frame, FrameSpec):
        return frame.bind(original)
    if isinstance(frame, Mapping):
        return _configured(frame).bind(original)
    return _named("pixels" if frame is None else frame).bind(original)


_RESIZE_KEYS: tuple[Literal["factor", "min_pixels", "max_pixels"], ...] = (
    "factor",
    "min_pixels",
    "max_pixels",
)


def _configured(settings: Mapping[str, Any]) -> FrameSpec:
    unknown = set(settings) - {"name", *_RESIZE_KEYS}
    if unknown or "name" not in settings:
        raise ValueError(
            f"frame: expected the key name and optionally {', '.join(_RESIZE_KEYS)}; "
            f"got {', '.join(sorted(map(str, settings))) or 'nothing'}"
        )
    spec = _named(settings["name"])
    changes = {key: settings[key] for key in _RESIZE_KEYS if key in settings}
    for key, value in changes.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"frame {spec.name}: {key} must be a positive whole number")
    if not changes:
        return spec
    if spec.resize is None:
        raise ValueError(f"frame {spec.name}: has no resize, so no {', '.join(changes)}")
    return replace(spec, resize=replace(spec.resize, **changes))


def _named(name: object) -> FrameSpec:
    if not isinstance(name, str) or name not in FRAMES:
        raise ValueError(f"unknown frame {name!r}; choose from {', '.join(FRAMES)}")
    return FRAMES[name]
