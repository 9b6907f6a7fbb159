import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from maniplvm.data import images
from maniplvm.data.images import check_image, decode, read_image, resolve_image
from maniplvm.data.record_errors import ErrorCode, RecordError
from tests.data.conftest import encoded


def png_header(width, height):
    """A PNG with a large stated size and almost no data."""

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def turned(form, orientation=6, mode="RGB"):
    """Left half black, right half white, 40 x 20 px, with an EXIF orientation."""
    image = Image.new("L", (40, 20))
    image.paste(255, (20, 0, 40, 20))
    image = image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, form, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_good_image_keeps_its_bytes(tmp_path, form):
    (tmp_path / "p").write_bytes(encoded((70, 50), form))
    image = read_image(tmp_path / "p")
    assert image.data == encoded((70, 50), form)
    assert image.size == (70, 50)
    assert decode(image.data).size == (70, 50)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_an_exif_orientation_is_applied_to_the_pixels(form):
    image = check_image(turned(form), "p")
    assert image.size == (20, 40)
    pixels = np.asarray(decode(image.data).convert("L"))
    assert pixels.shape == (40, 20)
    assert pixels[5].mean() < 10
    assert pixels[35].mean() > 245
    again = Image.open(io.BytesIO(image.data))
    assert again.format == form
    assert again.getexif().get(0x0112, 1) == 1
    assert check_image(image.data, "p") == image


def test_a_palette_image_keeps_its_colours_when_it_is_turned():
    image = check_image(turned("PNG", mode="P"), "p")
    assert Image.open(io.BytesIO(image.data)).mode == "P"
    assert np.asarray(decode(image.data))[35].mean() > 245


def test_an_upright_orientation_changes_nothing():
    assert check_image(turned("JPEG", orientation=1), "p").data == turned("JPEG", orientation=1)


def saved(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def paletted(transparency=None):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 9, 8, 7])
    return saved(image, **({} if transparency is None else {"transparency": transparency}))


GREY_16 = Image.fromarray(np.full((4, 4), 0x8040, dtype=np.uint16))
RED_CMYK = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
MODES = {
    "1": (saved(Image.new("1", (4, 4), 1)), (255, 255, 255)),
    "L": (saved(Image.new("L", (4, 4), 77)), (77, 77, 77)),
    "L with a transparent grey": (saved(Image.new("L", (4, 4), 77), transparency=77), (255,) * 3),
    "LA": (saved(Image.new("LA", (4, 4), (0, 51))), (204, 204, 204)),
    "P": (paletted(), (9, 8, 7)),
    "P with a transparent colour": (paletted(b"\xff\x00"), (255, 255, 255)),
    "P with transparency of another colour": (paletted(b"\x00\xff"), (9, 8, 7)),
    "RGB": (saved(Image.new("RGB", (4, 4), (1, 2, 3))), (1, 2, 3)),
    "RGB with a transparent colour": (
        saved(Image.new("RGB", (4, 4), (1, 2, 3)), transparency=(1, 2, 3)),
        (255, 255, 255),
    ),
    "RGBA, transparent": (saved(Image.new("RGBA", (4, 4), (10, 20, 30, 0))), (255, 255, 255)),
    "RGBA, opaque": (saved(Image.new("RGBA", (4, 4), (10, 20, 30, 255))), (10, 20, 30)),
    "RGBA of WebP": (
        saved(Image.new("RGBA", (4, 4), (10, 20, 30, 0)), "WEBP", lossless=True),
        (255, 255, 255),
    ),
    "16-bit grey": (saved(GREY_16), (128, 128, 128)),
    "16-bit grey, black": (saved(Image.new("I;16", (4, 4), 0)), (0, 0, 0)),
    "16-bit grey, white": (saved(Image.new("I;16", (4, 4), 65535)), (255, 255, 255)),
    "16-bit grey, dark": (saved(Image.new("I;16", (4, 4), 300)), (1, 1, 1)),
    "CMYK": (saved(RED_CMYK, "JPEG", quality=95), (254, 0, 0)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_colour_mode_decodes_to_the_right_rgb(mode):
    data, expected = MODES[mode]
    assert decode(data).mode == "RGB"
    assert np.abs(np.array(decode(data).getpixel((1, 1))) - expected).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_a_checked_image_has_the_same_pixels_for_every_reader(mode):
    data, _ = MODES[mode]
    checked = check_image(data, "p").data
    with Image.open(io.BytesIO(checked)) as image:
        assert image.mode in ("1", "L", "P", "RGB")
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels - np.asarray(decode(data)).astype(int)).max() <= 1
    if mode in ("1", "L", "P", "RGB"):
        assert checked == data


def test_a_turned_transparent_image_is_turned_and_composited():
    checked = check_image(turned("PNG", mode="RGBA"), "p")
    assert checked.size == (20, 40)
    assert decode(checked.data).getpixel((10, 5)) == (0, 0, 0)
    assert decode(checked.data).getpixel((10, 35)) == (255, 255, 255)
    np.testing.assert_array_equal(
        np.asarray(decode(turned("PNG", mode="RGBA"))), np.asarray(decode(checked.data))
    )


def test_grey_of_more_than_16_bits_is_an_error(monkeypatch):
    wide = Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32))
    monkeypatch.setattr(images, "_load", lambda data, source: (wide, True))
    with pytest.raises(RecordError, match="p has 32-bit grey values; convert it to 8-bit RGB"):
        decode(b"", "p")


@pytest.mark.parametrize("mode", ["F", "HSV", "LAB"])
def test_another_colour_mode_is_an_error_that_names_it(monkeypatch, mode):
    monkeypatch.setattr(images, "_load", lambda data, source: (Image.new(mode, (4, 4)), True))
    with pytest.raises(RecordError, match=f"p has the colour mode {mode}; convert it to 8-bit RGB"):
        decode(b"", "p")


@pytest.mark.parametrize(
    ("width", "height"), [(8001, 8000), (10_000, 10_000), (30_000, 30_000), (2**31 - 1, 1)]
)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_header(width, height))
    with pytest.raises(RecordError, match=r"bomb.png .*64,000,000 pixels; scale it down") as caught:
        read_image(tmp_path / "bomb.png")
    assert caught.value.code is ErrorCode.OVERSIZED_IMAGE


def test_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("maniplvm.data.images.MAX_FILE_BYTES", 2**20)
    with (tmp_path / "huge.png").open("wb") as stream:
        stream.truncate(2**20 + 1)
    with pytest.raises(RecordError, match=r"huge.png is larger than 1 MiB"):
        read_image(tmp_path / "huge.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_truncated_image_is_unreadable(form, share):
    data = encoded((70, 50), form)
    with pytest.raises(RecordError, match=r"p is (empty|damaged or not one of)") as caught:
        check_image(data[: int(share * len(data))], "p")
    assert caught.value.code is ErrorCode.UNREADABLE_IMAGE


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (encoded((8, 8), "BMP"), "a BMP file; convert it to one of PNG, JPEG, WEBP"),
        (encoded((8, 8), "GIF"), "a GIF file; convert it"),
        (encoded((8, 8), "TIFF"), "a TIFF file; convert it"),
        (b"MM\0*" + b"\0" * 20, "a TIFF file; convert it"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 20, "an AVIF file; convert it"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, "a HEIC file; convert it"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file; convert it"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file; convert it"),
        (b"%PDF-1.7", "a PDF file; convert it"),
        (b"<svg xmlns='...'>", "an SVG or XML file; convert it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, .* `git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "an HTML page, .* download the file itself"),
        (b"", "empty; download it again"),
        (b"some text", "damaged or not one of PNG, JPEG, WEBP; download it again"),
    ],
)
def test_another_kind_of_file_is_named_with_what_to_do(data, description):
    with pytest.raises(RecordError, match=f"^p is {description}"):
        check_image(data, "p")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP"]),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_damaged_bytes_never_raise_anything_else(form, changes):
    data = bytearray(encoded((16, 12), form))
    for where, value in changes:
        data[int(where * len(data))] = value
    try:
        code = None if check_image(bytes(data), "p").size else ErrorCode.BAD_VALUE
    except RecordError as error:
        code = error.code
    assert code in (None, ErrorCode.UNREADABLE_IMAGE, ErrorCode.OVERSIZED_IMAGE)


@settings(max_examples=50)
@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_unreadable(data):
    with pytest.raises(RecordError):
        check_image(data, "p")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"gone.png cannot be read \(No such file"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize(
    "name", ["a.png", "49_bridge#episode_9826/frame 15.png", "düne/图.png", "a..b.png", "..."]
)
def test_ordinary_names_are_found_below_the_root(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    assert resolve_image(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.png", "x/../../a.png", "C:\\a.png", "..\\a.png", "a\0.png", "\\a"]
)
def test_a_path_that_escapes_the_root_is_refused(tmp_path, name):
    (tmp_path / "root").mkdir()
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(RecordError, match="must be a plain path below the image root") as caught:
        resolve_image(tmp_path / "root", name)
    assert caught.value.code is ErrorCode.ESCAPING_PATH


def test_links_may_not_lead_out_of_the_root(tmp_path):
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real" / "a.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")
    (root / "inside.png").symlink_to(root / "real" / "a.png")
    (root / "outside.png").symlink_to(tmp_path / "secret.png")
    (root / "folder").symlink_to(tmp_path)
    assert resolve_image(root, "inside.png") == root / "inside.png"
    for name in ("outside.png", "folder/secret.png"):
        with pytest.raises(RecordError, match="outside the image root; copy it"):
            resolve_image(root, name)


def test_a_root_that_is_a_link_is_accepted(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert resolve_image(tmp_path / "link", "a.png").is_file()


@pytest.mark.parametrize("name", ["gone.png", "folder", "loop.png", "x" * 5000, "file/a.png"])
def test_a_missing_image_is_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(RecordError, match=r"is not a file; download it.*--images") as caught:
        resolve_image(tmp_path, name)
    assert caught.value.code is ErrorCode.MISSING_IMAGE


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_no_name_ever_leads_out_of_the_root(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(RecordError):
        resolve_image(root, name)


def test_a_stored_bomb_is_not_decoded():
    with pytest.raises(RecordError, match="the image is 8001x8000"):
        decode(png_header(8001, 8000))
