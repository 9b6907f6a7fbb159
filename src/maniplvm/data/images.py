"""Images from files that others made: checked before they are decoded, upright afterwards."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from PIL import Image, ImageOps

from maniplvm.data.record_errors import Cause, RecordError

MAX_PIXELS = 64_000_000
"""The largest image that is decoded, in pixels (8000 x 8000): 192 MB in memory."""

MAX_FILE_BYTES = 256 * 2**20
"""The largest image file that is read, in bytes."""

FORMATS = ("PNG", "JPEG", "WEBP")

_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, struct.error, zlib.error)
_SAVE_OPTIONS = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image that is known to decode.

    Attributes:
        data: PNG, JPEG or WebP bytes; no EXIF orientation is left to apply.
        size: `(width, height)` [px].
    """

    data: bytes
    size: tuple[int, int]


def resolve_image(root: Path, name: str) -> Path:
    """The path of a record's image, which must lie under the image root.

    Args:
        root: The folder that names are relative to.
        name: As the record spells it; `#`, spaces and any script are ordinary characters.

    Raises:
        RecordError: an absolute path, `..`, a link that leads out of the root, or no such file.
    """
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    if ".." in parts or "\0" in name or PurePosixPath(name).root or PureWindowsPath(name).anchor:
        raise RecordError(
            Cause.ESCAPING_PATH, f"{name!r} must be a plain path below the image root {root}"
        )
    path = root / name
    try:
        resolved = path.resolve(strict=True)
        is_file = resolved.is_file()
    except (OSError, RuntimeError):  # missing, a loop of links, or a name too long to exist
        is_file, resolved = False, path
    if not is_file:
        raise RecordError(
            Cause.MISSING_IMAGE,
            f"{path} is no file; fetch it, or say where the images are (--images)",
        )
    if not resolved.is_relative_to(root.resolve()):
        raise RecordError(
            Cause.ESCAPING_PATH, f"{path} is a link to {resolved}, outside the image root; copy it"
        )
    return path


def read_image(path: Path) -> EncodedImage:
    """Read and check one image file.

    Raises:
        RecordError: unreadable, truncated, of another format, or too large to be decoded.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecordError(
                Cause.OVERSIZED_IMAGE, f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB"
            )
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(
            Cause.UNREADABLE_IMAGE, f"{path} cannot be read ({error.strerror})"
        ) from error
    return check_image(data, str(path))


def check_image(data: bytes, source: str) -> EncodedImage:
    """Check encoded bytes and turn the image upright.

    The bytes are kept as they are, unless an EXIF orientation must be applied: then the image is
    encoded again (JPEG at quality 95, PNG and WebP without loss) and its metadata are dropped.

    Args:
        data: The encoded image.
        source: What an error calls it.

    Raises:
        RecordError: as `read_image`.
    """
    image, is_upright = _loaded(data, source)
    return EncodedImage(data, image.size) if is_upright else _upright(image)


def decode(data: bytes, source: str = "the image") -> Image.Image:
    """Decode a stored image to RGB; transparent parts keep their colour.

    Raises:
        RecordError: as `read_image`.
    """
    image, _ = _loaded(data, source)
    has_alpha = image.has_transparency_data
    return image.convert("RGBA").convert("RGB") if has_alpha else image.convert("RGB")


def decode_any(data: bytes, source: str = "the image") -> Image.Image:
    """Decode an image whose colour mode means something, such as a mask, as it is.

    Raises:
        RecordError: as `read_image`.
    """
    return _loaded(data, source)[0]


def _loaded(data: bytes, source: str) -> tuple[Image.Image, bool]:
    """The decoded image, and whether its EXIF orientation is upright."""
    try:
        with warnings.catch_warnings():
            # Pillow warns at a limit of its own and about damaged metadata; ours is checked next.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise RecordError(
                Cause.OVERSIZED_IMAGE,
                f"{source} is {width}x{height}: more than {MAX_PIXELS:,} pixels; scale it down",
            )
        image.load()
        return image, image.getexif().get(_ORIENTATION_TAG, _UPRIGHT) == _UPRIGHT
    except Image.DecompressionBombError as error:
        raise RecordError(
            Cause.OVERSIZED_IMAGE, f"{source} holds more than {MAX_PIXELS:,} pixels; scale it down"
        ) from error
    except _DAMAGE as error:
        raise RecordError(
            Cause.UNREADABLE_IMAGE,
            f"{source} is damaged or none of {', '.join(FORMATS)}; fetch it again",
        ) from error


def _upright(image: Image.Image) -> EncodedImage:
    turned = ImageOps.exif_transpose(image)
    form = "JPEG" if image.format == "MPO" else str(image.format)
    plain = Image.frombytes(turned.mode, turned.size, turned.tobytes())
    if turned.mode == "P" and (palette := turned.getpalette()):
        plain.putpalette(palette)
    buffer = io.BytesIO()
    plain.save(buffer, form, **_SAVE_OPTIONS[form])
    return EncodedImage(buffer.getvalue(), plain.size)
