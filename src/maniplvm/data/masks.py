"""Masks as images: read from files that others made, kept as PNG of one bit a pixel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from maniplvm.data.images import decode_any, read_image, resolve_image
from maniplvm.geometry.arrays import BoolArray


def read_mask(root: Path, name: str) -> BoolArray:
    """The mask that a record names: every pixel that is not black is set.

    Args:
        root: What the name is relative to.
        name: As the record spells it.

    Returns:
        `(H, W)`; `data.targets.region_target` checks it against its image.

    Raises:
        RecordError: missing, outside the root, or unreadable.
    """
    path = resolve_image(root, name)
    return decode_mask(read_image(path).data, str(path))


def decode_mask(data: bytes, source: str = "the mask") -> BoolArray:
    """The pixels of an encoded image that are not black, `(H, W)`.

    Where the image is transparent it is not set, whatever colour it hides.

    Raises:
        RecordError: it cannot be decoded.
    """
    image = decode_any(data, source)
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;"):
        return np.asarray(image) != 0
    pixels = np.asarray(image.convert("RGBA"))
    return (pixels[..., :3].max(axis=-1) > 0) & (pixels[..., 3] > 0)


def encode_mask(mask: BoolArray) -> bytes:
    """A mask `(H, W)` as PNG of one bit a pixel; the same mask gives the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()
