import numpy as np
import pytest
from PIL import ImageFont

from maniplvm.data import contact_sheet, draw_answer
from maniplvm.data.drawing.contact_sheet import _shorten, _wrap
from maniplvm.data.images import decode
from maniplvm.errors import UserError
from tests.data.conftest import box_sample, encoded, trace_sample

SAMPLES = [box_sample(f"a{i}", image=encoded()) for i in range(5)]


def test_a_sheet_has_as_many_columns_as_asked_for():
    sheet = contact_sheet(SAMPLES, columns=2, tile=100)
    assert sheet.width == 16 + 2 * 116
    assert sheet.height > 3 * (75 + 16)
    assert contact_sheet(SAMPLES[:1], columns=4, tile=100).width == 16 + 116


def test_a_tile_shows_the_image_with_its_target():
    sheet = contact_sheet(SAMPLES[:1], tile=128)
    expected = draw_answer(decode(encoded()), SAMPLES[0].target, width=128)
    assert sheet.crop((16, 16, 16 + 128, 16 + 96)) == expected


def test_the_instruction_and_the_id_are_drawn_below_the_image():
    def caption(sample):
        sheet = contact_sheet([sample], tile=128)
        return np.asarray(sheet.crop((16, 116, 144, sheet.height - 16))).min()

    assert caption(SAMPLES[0]) < 60
    one = contact_sheet([box_sample("a", image=encoded())], tile=200)
    for other in (
        box_sample("b", image=encoded()),
        box_sample("a", image=encoded(), instruction="?"),
    ):
        assert contact_sheet([other], tile=200) != one


def test_a_long_instruction_is_wrapped_and_cut():
    short = contact_sheet([box_sample(instruction="lift")], tile=200)
    long = contact_sheet([box_sample(instruction="lift the lid " * 4)], tile=200)
    longer = contact_sheet([box_sample(instruction="lift the lid " * 99)], tile=200)
    assert short.height < long.height <= longer.height
    lines = _wrap("lift the lid " * 99, 12, 200)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    font = ImageFont.load_default(12)
    assert all(font.getlength(line) <= 200 for line in lines)
    assert " ".join(_wrap("one two three four five six", 12, 80)) == "one two three four five six"


def test_a_word_wider_than_the_tile_is_cut():
    assert _shorten("x" * 100, 12, 50).endswith("…")
    assert _shorten("xyz", 12, 0) == "…"
    assert _wrap("x" * 100, 12, 50) == [_shorten("x" * 100, 12, 50)]


def test_accents_are_removed_because_the_font_lacks_them():
    assert _wrap("Öffne die Türe", 12, 500) == ["Offne die Ture"]


def test_tall_images_are_scaled_to_the_height_of_a_tile():
    tall = box_sample(image_size=(48, 640), image=encoded((48, 640)))
    assert contact_sheet([tall], tile=100).height < 100 + 100


def test_a_sample_without_an_image_gets_a_grey_one():
    sheet = contact_sheet([trace_sample()], tile=128)
    assert sheet.getpixel((16 + 126, 16 + 94)) == (208, 208, 208)


@pytest.mark.parametrize(
    ("samples", "columns", "tile", "message"),
    [
        ([], 4, 100, "there are no samples to draw"),
        (SAMPLES, 0, 100, "cannot draw a sheet of 0 columns of 100 px"),
        (SAMPLES, 1, 0, "cannot draw a sheet of 1 columns of 0 px"),
    ],
)
def test_impossible_sheets_are_refused(samples, columns, tile, message):
    with pytest.raises(UserError, match=message):
        contact_sheet(samples, columns, tile)


def test_a_stored_image_that_is_damaged_names_its_sample():
    broken = box_sample("s-1", image=encoded()[:200])
    with pytest.raises(UserError, match="unreadable image: the image of sample 's-1' is damaged"):
        contact_sheet([broken])
