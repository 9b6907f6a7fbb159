"""Images for the tests of models."""

import io

import numpy as np
from PIL import Image


def make_image(size, seed=0):
    """Noise of `(width, height)` [px]."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
