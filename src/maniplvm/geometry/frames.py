"""Coordinate frames: conversion between pixels of the original image and a model's numbers.

A `View` maps the original image to the input image of the model (resize, letterbox, crop, or
several of them). A `Frame` adds the numeric range and the axis order of the model. A frame is
always given explicitly and never guessed from the numbers.
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
    "declared_frame",
    "resolve_frame",
]


@dataclass(frozen=True)
class Frame:
    """The coordinate frame of a model, bound to one image.

    Attributes:
        name: The name for messages and reports.
        view: The map from the original image to the input image of the model.
        span: The number at the end of a side; a side starts at 0. None means pixels of the input
            image.
        step: The resolution of the model's numbers.
        y_first: Whether the model writes y before x.
    """

    name: str
    view: View
    span: float | None = None
    step: float = 1.0
    y_first: bool = False

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The largest valid numbers, in the axis order of the model. The smallest is 0."""
        width, height = self.view.seen
        x, y = (float(width), float(height)) if self.span is None else (self.span, self.span)
        return (y, x) if self.y_first else (x, y)

    @property
    def quantum(self) -> tuple[float, float]:
        """One `step` in original pixels, `(x, y)`: twice the largest rounding error."""
        scale, _ = self._affine
        return self.step / float(scale[0]), self.step / float(scale[1])

    def encode(self, points: ArrayLike, rounded: bool = True) -> FloatArray:
        """Convert original pixels to the model's numbers.

        Args:
            points: `(..., 2)` [px of the original], x first.
            rounded: Whether to round to `step` and clip to the range, as in reference completions.
                False gives the exact map.

        Returns:
            `(..., 2)` in the numbers and the axis order of the model.
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
        """Convert the model's numbers `(..., 2)` to original pixels `(..., 2)`, x first."""
        values = np.array(numbers, dtype=np.float64)
        if self.is_identity:
            return values
        scale, offset = self._affine
        if self.y_first:
            values = values[..., ::-1]
        return (values - offset) / scale

    def overshoot(self, numbers: ArrayLike) -> float:
        """Largest distance of a number outside its range, as a multiple of the range; 0 if inside.

        Args:
            numbers: `(..., 2)` in the numbers and the axis order of the model.
        """
        fraction = np.asarray(numbers, dtype=np.float64) / self.limits
        return float(max(0.0, -fraction.min(), fraction.max() - 1.0)) if fraction.size else 0.0

    @cached_property
    def _affine(self) -> tuple[FloatArray, FloatArray]:
        """`number = original pixel * scale + offset`, x first."""
        units = (
            np.ones(2) if self.span is None else self.span / np.array(self.view.seen, np.float64)
        )
        return np.array(self.view.scale) * units, np.array(self.view.offset) * units

    @cached_property
    def is_identity(self) -> bool:
        """Whether the model's numbers are pixels of the original image, x first."""
        scale, offset = self._affine
        return not self.y_first and bool((scale == 1).all() and (offset == 0).all())


@dataclass(frozen=True)
class FrameSpec:
    """The coordinate convention of a model family; `bind` makes a `Frame` for an image.

    Attributes:
        name: The name of the family.
        span: As in `Frame`.
        step: As in `Frame`.
        y_first: As in `Frame`.
        resize: The resize of the processor, if the model uses pixels of its input image.
    """

    name: str
    span: float | None = None
    step: float = 1.0
    y_first: bool = False
    resize: SmartResize | None = None

    def bind(self, original: Size) -> Frame:
        """The frame of an image of `(width, height)` [px] that is only resized.

        For a cropped or padded image, replace the `view` of the result.
        """
        return _bound(self, checked_size(original))


@lru_cache(maxsize=4096)
def _bound(spec: FrameSpec, original: Size) -> Frame:
    seen = spec.resize.size(original) if spec.resize else original
    return Frame(spec.name, View.resized(original, seen), spec.span, spec.step, spec.y_first)


QWEN2_RESIZE = SmartResize(factor=28, min_pixels=56 * 56, max_pixels=28 * 28 * 16384)
"""The resize of the published Qwen2-VL and Qwen2.5-VL checkpoints."""

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
"""All frames by name. `pixels` means pixels of the original image."""


def resolve_frame(
    frame: str | Mapping[str, Any] | FrameSpec | Frame | None, original: Size
) -> Frame:
    """Get the frame of an image from a name, a mapping, a spec or a frame.

    Args:
        frame: One of: a name from `FRAMES`; a mapping with `name` and any processor settings
            (`min_pixels`, `max_pixels`, `factor`); a `FrameSpec`; a `Frame` for an image of this
            size; None for original pixels.
        original: `(width, height)` [px] of the original image.

    Raises:
        ValueError: an unknown name or key (the message lists the valid ones), or a frame for another
            image size.
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


def declared_frame(spec: FrameSpec) -> str | dict[str, Any]:
    """A model's frame as plain data, for files outside this process; `resolve_frame` reads it back.

    The resize is part of it only if the model answers in pixels of the resized image.
    """
    resize = spec.resize
    if resize is None or spec.span is not None:
        return spec.name
    return {
        "name": spec.name,
        "factor": resize.factor,
        "min_pixels": resize.min_pixels,
        "max_pixels": resize.max_pixels,
    }


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
            raise ValueError(f"frame {spec.name}: {key} must be a positive integer")
    if not changes:
        return spec
    if spec.resize is None:
        raise ValueError(f"frame {spec.name}: has no resize; remove {', '.join(changes)}")
    return replace(spec, resize=replace(spec.resize, **changes))


def _named(name: object) -> FrameSpec:
    if not isinstance(name, str) or name not in FRAMES:
        raise ValueError(f"unknown frame {name!r}; choose from {', '.join(FRAMES)}")
    return FRAMES[name]
