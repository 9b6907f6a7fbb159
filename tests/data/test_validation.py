import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.data.validation import UniqueIds, box_target, short_repr, trace_target

SIZE = (64, 48)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


def refusal(call, *arguments):
    with pytest.raises(RecordError) as caught:
        call(*arguments)
    return caught.value


def test_a_box_inside_the_image_is_kept_exactly():
    assert box_target([1.25, 2, 30, 40.5], SIZE).xyxy.tolist() == [1.25, 2, 30, 40.5]
    assert box_target([0, 0, 64, 48], SIZE).xyxy.tolist() == [0, 0, 64, 48]


def test_an_overhang_of_one_pixel_is_clipped():
    assert box_target([-1, -0.5, 65, 49], SIZE).xyxy.tolist() == [0, 0, 64, 48]
    trace = trace_target([[-1, 3], [65, 48.5]], SIZE)
    assert trace.points.tolist() == [[0, 3], [64, 48]]


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ([1, 2, 3], ErrorCode.WRONG_TYPE, "box needs 4 numbers x1, y1, x2, y2, got 3"),
        ([1, 2, 3, 4, 5], ErrorCode.WRONG_TYPE, "got 5"),
        ("[1, 2, 3, 4]", ErrorCode.WRONG_TYPE, "box needs a list, got str '[1, 2, 3, 4]'"),
        (None, ErrorCode.WRONG_TYPE, "box needs a list, got NoneType None"),
        ({"x": 1}, ErrorCode.WRONG_TYPE, "box needs a list, got dict"),
        ([1, 2, "3", 4], ErrorCode.WRONG_TYPE, "box needs numbers, got str '3'"),
        ([1, 2, True, 4], ErrorCode.WRONG_TYPE, "box needs numbers, got bool True"),
        ([1, 2, None, 4], ErrorCode.WRONG_TYPE, "NoneType"),
        ([1, 2, math.nan, 4], ErrorCode.NOT_FINITE, "box holds float nan"),
        ([1, 2, math.inf, 4], ErrorCode.NOT_FINITE, "box holds float inf"),
        ([1, 2, 10**400, 4], ErrorCode.NOT_FINITE, "box holds int 1000"),
        ([5, 5, 5, 9], ErrorCode.EMPTY_BOX, "box is 0 x 4 px at (5, 5)"),
        ([9, 5, 5, 9], ErrorCode.EMPTY_BOX, "box is -4 x 4 px"),
        ([64, 5, 65, 9], ErrorCode.EMPTY_BOX, "box, clipped to the image, is 0 x 4 px"),
        ([1, 2, 65.5, 9], ErrorCode.OUTSIDE_IMAGE, "reaches (65.5, 9) in an image of 64x48 px"),
        ([-2, 2, 5, 9], ErrorCode.OUTSIDE_IMAGE, "reaches (-2, 2)"),
        ([1, 2, 5, 50], ErrorCode.OUTSIDE_IMAGE, "reaches (5, 50)"),
        (
            [0.1, 0.2, 0.5, 1.0],
            ErrorCode.NOT_PIXELS,
            "are fractions, so it seems to be a share of the image; give pixels",
        ),
    ],
)
def test_a_bad_box_is_reported_with_its_error_code(values, code, words):
    error = refusal(box_target, values, SIZE)
    assert error.code is code
    assert words in error.detail


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ([], ErrorCode.TOO_FEW_POINTS, "trace needs at least 2 points, got 0"),
        ([[1, 2]], ErrorCode.TOO_FEW_POINTS, "got 1"),
        ([[1, 2], [3]], ErrorCode.WRONG_TYPE, "trace, point 1 needs 2 numbers x, y, got 1"),
        ([[1, 2], [3, 4, 5]], ErrorCode.WRONG_TYPE, "point 1 needs 2 numbers"),
        ([1, 2, 3, 4], ErrorCode.WRONG_TYPE, "trace, point 0 needs a list, got int 1"),
        ({"x": 1}, ErrorCode.WRONG_TYPE, "trace needs a list, got dict"),
        ([[1, 2], [3, "4"]], ErrorCode.WRONG_TYPE, "trace, point 1 needs numbers, got str '4'"),
        ([[1, 2], [3, math.nan]], ErrorCode.NOT_FINITE, "trace, point 1 holds float nan"),
        ([[1, 2], [30, 90]], ErrorCode.OUTSIDE_IMAGE, "trace reaches (30, 90)"),
        ([[0.1, 0.2], [0.3, 0.9]], ErrorCode.NOT_PIXELS, "0..1"),
    ],
)
def test_a_bad_trace_is_reported_with_its_error_code(values, code, words):
    error = refusal(trace_target, values, SIZE)
    assert error.code is code
    assert words in error.detail


@given(ANY_JSON)
def test_no_json_value_raises_anything_else(value):
    for read in (box_target, trace_target):
        try:
            points, refused = read(value, SIZE).points, ""
        except RecordError as error:
            points, refused = np.zeros((1, 2)), error.detail
        assert "\n" not in refused
        assert ((points >= 0) & (points <= SIZE)).all()


def test_the_first_pixel_is_a_legal_box_and_a_legal_trace():
    assert box_target([0, 0, 1, 1], SIZE).xyxy.tolist() == [0, 0, 1, 1]
    assert box_target([0.0, 0.0, 1.0, 1.0], (1, 1)).xyxy.tolist() == [0, 0, 1, 1]
    assert trace_target([[0, 0], [1, 1]], SIZE).points.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("box", [[0, 0, 1, 0.99], [0, 0, 0.5, 1], [0.0, 0.25, 1.0, 1.0]])
def test_one_fraction_in_0_to_1_makes_a_box_look_normalized(box):
    assert refusal(box_target, box, SIZE).code is ErrorCode.NOT_PIXELS


def test_a_long_value_is_shortened_to_one_line():
    text = short_repr({"a\n": "x" * 500})
    assert len(text) < 80
    assert text.endswith("…")
    assert "\n" not in text
    assert json.dumps(short_repr(1.23456789)) == '"float 1.23"'


def test_a_second_sample_with_an_id_names_the_first_place():
    ids = UniqueIds()
    ids.check("a", "one.json", "record 0")
    ids.check("b", "one.json", "record 1")
    with pytest.raises(RecordError, match=r"'a' is already the id of one.json, record 0") as error:
        ids.check("a", "two.json", "record 5")
    assert error.value.code is ErrorCode.DUPLICATE_ID
