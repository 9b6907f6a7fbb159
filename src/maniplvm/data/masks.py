"""Masks as images: decoded from files of unknown origin, and encoded as 1-bit PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from maniplvm.data.images import decode_unconverted, read_bytes, resolve_image
from maniplvm.geometry.arrays import BoolArray

LOSSY_FORMATS = ("JPEG", "MPO")
"""Formats whose compression changes the pixels of a mask."""
LOSSY_THRESHOLD = 127
"""Grey value above which a pixel of a lossy mask is set.

The area above it nearly equals the sum of `value / 255`, the weights of RoboPoint's Where2Place
evaluation (Yuan et al. 2024)."""


def read_mask(root: Path, name: str) -> BoolArray:
    """Read a mask image, as `decode_mask` does.

    Args:
        root: The folder that the name is relative to.
        name: The mask's name in the record.

    Returns:
        `(H, W)`; `data.validation.region_target` compares its size with the image.

    Raises:
        RecordError: the file is missing, outside the root, or unreadable.
    """
    path = resolve_image(root, name)
    return decode_mask(read_bytes(path), str(path))


def decode_mask(data: bytes, source: str = "the mask") -> BoolArray:
    """Decode a mask `(H, W)`.

    Without lossy compression, a pixel is set if it is neither black nor fully transparent. In a
    JPEG, compression leaves grey pixels around the region. There a pixel is set if it is brighter
    than `LOSSY_THRESHOLD`.

    Raises:
        RecordError: the image cannot be decoded.
    """
    image = decode_unconverted(data, source)
    if image.format in LOSSY_FORMATS:
        return np.asarray(image.convert("L")) > LOSSY_THRESHOLD
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;"):
        return np.asarray(image) != 0
    pixels = np.asarray(image.convert("RGBA"))
    return (pixels[..., :3].max(axis=-1) > 0) & (pixels[..., 3] > 0)


def encode_mask(mask: BoolArray) -> bytes:
    """Encode a mask `(H, W)` as 1-bit PNG. Equal masks give equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()
