"""Reads images of unknown origin: checked before they are decoded, turned upright afterwards."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from PIL import Image, ImageOps

from maniplvm.data.record_errors import ErrorCode, RecordError

MAX_PIXELS = 64_000_000
"""The largest image that is decoded, in pixels (8000 x 8000): 192 MB in memory."""

MAX_FILE_BYTES = 256 * 2**20
"""The largest image file that is read, in bytes."""

FORMATS = ("PNG", "JPEG", "WEBP")

_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, struct.error, zlib.error)
_SAVE_OPTIONS = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image that is known to decode.

    Attributes:
        data: PNG, JPEG or WebP bytes. They need no further EXIF rotation.
        size: `(width, height)` [px].
    """

    data: bytes
    size: tuple[int, int]


def resolve_image(root: Path, name: str) -> Path:
    """Find a record's image, which must lie below the image root.

    Args:
        root: The folder that image names are relative to.
        name: The name in the record. `#`, spaces and all scripts are ordinary characters.

    Raises:
        RecordError: the path is absolute, contains `..`, or is a link that leads out of the root;
            or the file does not exist.
    """
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    if ".." in parts or "\0" in name or PurePosixPath(name).root or PureWindowsPath(name).anchor:
        raise RecordError(
            ErrorCode.ESCAPING_PATH, f"{name!r} must be a plain path below the image root {root}"
        )
    path = root / name
    try:
        resolved = path.resolve(strict=True)
        is_file = resolved.is_file()
    except (OSError, RuntimeError):  # missing, a loop of links, or a name too long to exist
        is_file, resolved = False, path
    if not is_file:
        raise RecordError(
            ErrorCode.MISSING_IMAGE,
            f"{path} is not a file; download it, or give the folder of the images (--images)",
        )
    if not resolved.is_relative_to(root.resolve()):
        raise RecordError(
            ErrorCode.ESCAPING_PATH,
            f"{path} is a link to {resolved}, outside the image root; copy it",
        )
    return path


def read_image(path: Path) -> EncodedImage:
    """Read and check one image file.

    Raises:
        RecordError: the file is unreadable, truncated, of another format, or too large.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecordError(
                ErrorCode.OVERSIZED_IMAGE, f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB"
            )
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(
            ErrorCode.UNREADABLE_IMAGE, f"{path} cannot be read ({error.strerror})"
        ) from error
    return check_image(data, str(path))


def check_image(data: bytes, source: str) -> EncodedImage:
    """Check an encoded image and turn it upright.

    The bytes are kept unchanged unless an EXIF orientation must be applied. Then the image is
    encoded again (JPEG at quality 95, PNG and WebP without loss), without its metadata.

    Args:
        data: The encoded image.
        source: The image's name in error messages.

    Raises:
        RecordError: as `read_image`.
    """
    image, is_upright = _load(data, source)
    return EncodedImage(data, image.size) if is_upright else _turn_upright(image)


def decode(data: bytes, source: str = "the image") -> Image.Image:
    """Decode a stored image to RGB. Transparent pixels keep their colour.

    Raises:
        RecordError: as `read_image`.
    """
    image, _ = _load(data, source)
    has_alpha = image.has_transparency_data
    return image.convert("RGBA").convert("RGB") if has_alpha else image.convert("RGB")


def decode_unconverted(data: bytes, source: str = "the image") -> Image.Image:
    """Decode an image without conversion, because its colour mode matters (a mask).

    Raises:
        RecordError: as `read_image`.
    """
    return _load(data, source)[0]


def _load(data: bytes, source: str) -> tuple[Image.Image, bool]:
    """The decoded image, and whether it is upright without EXIF rotation."""
    try:
        with warnings.catch_warnings():
            # Pillow warns at its own size limit and about damaged metadata. Our limit is checked next.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise RecordError(
                ErrorCode.OVERSIZED_IMAGE,
                f"{source} is {width}x{height}: more than {MAX_PIXELS:,} pixels; scale it down",
            )
        image.load()
        return image, image.getexif().get(_ORIENTATION_TAG, _UPRIGHT) == _UPRIGHT
    except Image.DecompressionBombError as error:
        raise RecordError(
            ErrorCode.OVERSIZED_IMAGE,
            f"{source} holds more than {MAX_PIXELS:,} pixels; scale it down",
        ) from error
    except _DECODE_ERRORS as error:
        raise RecordError(
            ErrorCode.UNREADABLE_IMAGE,
            f"{source} is damaged or not one of {', '.join(FORMATS)}; download it again",
        ) from error


def _turn_upright(image: Image.Image) -> EncodedImage:
    turned = ImageOps.exif_transpose(image)
    format_name = "JPEG" if image.format == "MPO" else str(image.format)
    plain = Image.frombytes(turned.mode, turned.size, turned.tobytes())
    if turned.mode == "P" and (palette := turned.getpalette()):
        plain.putpalette(palette)
    buffer = io.BytesIO()
    plain.save(buffer, format_name, **_SAVE_OPTIONS[format_name])
    return EncodedImage(buffer.getvalue(), plain.size)
