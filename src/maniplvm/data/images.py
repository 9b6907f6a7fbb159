"""Reads images of unknown origin, and converts every colour mode to RGB in one place."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
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
_PLAIN_MODES = ("1", "L", "P", "RGB")
"""Modes that every reader converts to RGB in the same way, if nothing is transparent."""
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_SUBTRACTIVE_MODES = ("CMYK", "YCbCr")
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I")
_SIXTEEN_BIT_WHITE = 65535

_SIGNATURES: tuple[tuple[int, tuple[bytes, ...], str], ...] = (
    (0, (b"BM",), "a BMP file"),
    (0, (b"GIF8",), "a GIF file"),
    (0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "a TIFF file"),
    (4, (b"ftypavif", b"ftypavis"), "an AVIF file"),
    (4, (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"), "a HEIC file"),
    (0, (b"\0\0\0\x0cJXL ", b"\xff\x0a"), "a JPEG XL file"),
    (0, (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "a JPEG 2000 file"),
    (0, (b"\0\0\1\0",), "an ICO file"),
    (0, (b"8BPS",), "a Photoshop file"),
    (0, (b"%PDF",), "a PDF file"),
    (0, (b"<svg", b"<?xml"), "an SVG or XML file"),
)
_TEXT_SIGNATURES: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"version https://git-lfs",), "a Git LFS pointer, not the image; run `git lfs pull`"),
    ((b"<!doctype html", b"<html"), "an HTML page, not the image; download the file itself"),
)

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
    return check_image(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Read the bytes of an image file, which are not checked.

    Raises:
        RecordError: the file is unreadable or too large.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecordError(
                ErrorCode.OVERSIZED_IMAGE, f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB"
            )
        return path.read_bytes()
    except OSError as error:
        raise RecordError(
            ErrorCode.UNREADABLE_IMAGE, f"{path} cannot be read ({error.strerror})"
        ) from error


def check_image(data: bytes, source: str) -> EncodedImage:
    """Check an encoded image, and make it one that every reader decodes to the same RGB pixels.

    The bytes are kept unchanged if the image is upright, has 8 bits or fewer per channel, and has
    no transparency and no CMYK colours. Any other image is turned, converted as `decode` does, and
    encoded again without its metadata (JPEG at quality 95, PNG and WebP without loss).

    Args:
        data: The encoded image.
        source: The image's name in error messages.

    Raises:
        RecordError: as `read_image`.
    """
    image, is_upright = _load(data, source)
    if image.mode in _PLAIN_MODES and not image.has_transparency_data:
        return EncodedImage(data, image.size) if is_upright else _turn_upright(image)
    return _encode(_to_rgb(_turned(image), source), str(image.format))


def decode(data: bytes, source: str = "the image") -> Image.Image:
    """Decode an image to upright RGB; all callers use this function.

    | mode | conversion |
    |---|---|
    | 1, L, P, RGB | as Pillow converts it |
    | with transparency (RGBA, LA, PA, tRNS) | composited over white |
    | 16-bit grey (I;16, I) | divided by 257 |
    | CMYK, YCbCr | as Pillow converts it |
    | 16-bit RGB | Pillow keeps the upper 8 bits |

    Raises:
        RecordError: as `read_image`, or another colour mode.
    """
    return _to_rgb(_turned(_load(data, source)[0]), source)


def decode_unconverted(data: bytes, source: str = "the image") -> Image.Image:
    """Decode an upright image without conversion, because its colour mode matters (a mask).

    Raises:
        RecordError: as `read_image`.
    """
    image = _load(data, source)[0]
    turned = _turned(image)
    turned.format = image.format
    return turned


def _to_rgb(image: Image.Image, source: str) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _sixteen_bit_to_rgb(image, source)
    if image.mode not in (*_PLAIN_MODES, *_ALPHA_MODES, *_SUBTRACTIVE_MODES):
        raise RecordError(
            ErrorCode.UNREADABLE_IMAGE,
            f"{source} has the colour mode {image.mode}; convert it to 8-bit RGB",
        )
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _sixteen_bit_to_rgb(image: Image.Image, source: str) -> Image.Image:
    """Scale 16-bit grey to 8 bits. `Image.convert` would clip every value above 255 to white."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _SIXTEEN_BIT_WHITE:
        raise RecordError(
            ErrorCode.UNREADABLE_IMAGE,
            f"{source} has 32-bit grey values; convert it to 8-bit RGB",
        )
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        values[values == transparent] = _SIXTEEN_BIT_WHITE
    grey = np.round(values / 257).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


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
            ErrorCode.UNREADABLE_IMAGE, f"{source} is {_describe_unreadable(data)}"
        ) from error


def _describe_unreadable(data: bytes) -> str:
    """What the bytes are, by their signature, and what to do."""
    formats = ", ".join(FORMATS)
    if not data:
        return "empty; download it again"
    for start, signatures, name in _SIGNATURES:
        if data[start:].startswith(signatures):
            return f"{name}; convert it to one of {formats}"
    text = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signatures, description in _TEXT_SIGNATURES:
        if text.startswith(signatures):
            return description
    return f"damaged or not one of {formats}; download it again"


def _turned(image: Image.Image) -> Image.Image:
    return ImageOps.exif_transpose(image)


def _turn_upright(image: Image.Image) -> EncodedImage:
    turned = _turned(image)
    plain = Image.frombytes(turned.mode, turned.size, turned.tobytes())
    if turned.mode == "P" and (palette := turned.getpalette()):
        plain.putpalette(palette)
    return _encode(plain, str(image.format))


def _encode(image: Image.Image, source_format: str) -> EncodedImage:
    format_name = "JPEG" if source_format == "MPO" else source_format
    buffer = io.BytesIO()
    image.save(buffer, format_name, **_SAVE_OPTIONS[format_name])
    return EncodedImage(buffer.getvalue(), image.size)
