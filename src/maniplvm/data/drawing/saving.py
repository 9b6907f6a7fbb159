"""Saving of drawings: the image file is complete or absent."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from maniplvm.errors import UserError
from maniplvm.files import replacing, unwritable, writing


def save_image(image: Image.Image, path: Path) -> None:
    """Write an image; the extension of the file selects the format.

    Raises:
        UserError: the extension is unknown, another process writes the file, or it cannot be
            written.
    """
    format_name = Image.registered_extensions().get(path.suffix.lower())
    if format_name is None:
        raise UserError(f"{path}: cannot be written; use an extension such as .png or .jpg")
    try:
        with writing(path), replacing(path) as unfinished:
            image.save(unfinished, format_name)
    except OSError as error:
        raise unwritable(path, error) from error
