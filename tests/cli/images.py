"""Small images for tests."""

import io

from PIL import Image


def png(width, height, colour=(90, 120, 150)):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()
