"""Spellings of numbers and keys: what is read, and what has a status of its own."""

import pytest

from maniplvm.geometry import FRAMES
from maniplvm.tasks import ParseStatus, Task, parse_answer
from maniplvm.tasks.parsing.spelling import Percent, Pixels, key_of, number_of

FRAME = FRAMES["pixels"].bind((1000, 1000))


def status(text, task=Task.AFFORDANCE):
    return parse_answer(text, task, FRAME).status


@pytest.mark.parametrize(
    "text",
    [
        "[1e2, 2E+2, 3.0e2, 4000e-1]",
        "[+100, 200., 300.000, 0400]",
        "［１００，２００，３００，４００］",
        "【100、200、300、400】",
        "[100\u00a0, 200\u2009, 300, 400]",
        "[١٠٠, ٢٠٠, ٣٠٠, ٤٠٠]",
        "{“bbox_2d”: [100, 200, 300, 400]}",
        '{\\"bbox_2d\\": [100, 200, 300, 400]}',
        "\\[100, 200, 300, 400\\]",
        "$\\left[100,\\, 200,\\, 300,\\, 400\\right]$",
        "[100.0000000000000000000000000000000000000000000000001, 200, 300, 400]",
    ],
)
def test_other_spellings_of_numbers_and_brackets_are_read(text):
    answer = parse_answer(text, Task.AFFORDANCE, FRAME)
    assert answer.status is ParseStatus.OK
    assert answer.value.tolist() == [100, 200, 300, 400]


def test_a_unicode_minus_is_a_sign():
    answer = parse_answer("[\u22125, \uff0d6, 300, 400]", Task.AFFORDANCE, FRAME)
    assert answer.value.tolist() == [-5, -6, 300, 400]


@pytest.mark.parametrize(
    "text",
    [
        "[1/2, 1/4, 3/4, 1]",
        "[1 / 2, 200, 300, 400]",
        "[1'000, 200, 300, 400]",
        "[1_000, 200, 300, 400]",
        "[0x10, 200, 300, 400]",
        "[1.2 x 10^2, 200, 300, 400]",
        "[1.2×10^2, 200, 300, 400]",
        "[10%, 200, 300, 400]",
    ],
)
def test_unsupported_spellings_of_numbers_have_a_status_of_their_own(text):
    assert status(text) is ParseStatus.UNSUPPORTED_NUMBER


@pytest.mark.parametrize("text", ["step 1/2: no idea", "in 1_000 images", "640x480"])
def test_such_numbers_outside_of_brackets_do_not_matter(text):
    assert status(text) is ParseStatus.NO_ANSWER_TAG


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1,234, 567, 1,300, 800]", ParseStatus.WRONG_COUNT),
        ("[10-20, 30, 40, 50]", ParseStatus.NO_ANSWER_TAG),
        ("[10+20, 30, 40, 50]", ParseStatus.NO_ANSWER_TAG),
        ("[v1.2.3, 2, 3, 4]", ParseStatus.NO_ANSWER_TAG),
        ("[30cm, 20cm, 10cm, 5cm]", ParseStatus.NO_ANSWER_TAG),
        ("[1e999, 1, 2, 3]", ParseStatus.NON_FINITE),
        ("[-1e999, 1, 2, 3]", ParseStatus.NON_FINITE),
        ("[nan, 1, 2, 3]", ParseStatus.NON_FINITE),
        ("[-inf, 1, 2, Infinity]", ParseStatus.NON_FINITE),
        ("[" + "9" * 5000 + ", 1, 2, 3]", ParseStatus.NON_FINITE),
        ("[" + "9" * 60 + ", 1, 2, 3]", ParseStatus.OUT_OF_RANGE),
        ('{"cx": 1e308, "cy": 1e308, "w": 1e308, "h": 1e999}', ParseStatus.NON_FINITE),
        ('{"x": 1e308, "y": 1e308, "w": 1e308, "h": 1e308}', ParseStatus.OUT_OF_RANGE),
    ],
)
def test_numbers_without_a_safe_reading_give_no_value(text, expected):
    assert status(text) is expected


def test_commas_of_thousands_are_not_read_as_points():
    assert status("[(1,200, 340), (1,300, 350), (1,400, 360)]", Task.TRAJECTORY) is (
        ParseStatus.WRONG_COUNT
    )
    assert status("[1,200, 340, 1,300, 350]", Task.TRAJECTORY) is ParseStatus.WRONG_COUNT
    pairs = parse_answer("[1,2, 3,4, 5,6]", Task.TRAJECTORY, FRAME)
    assert pairs.value.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("space", [" ", "\u00a0", "\x1c", "\x85", "\u2003"])
def test_any_white_space_may_stand_around_a_number(space):
    decimals = f"[({space}0,5{space};{space}0,25{space})]"
    assert parse_answer(decimals, Task.POINTING, FRAME).value.tolist() == [[0.5, 0.25]]
    units = f"[100{space}px,{space}200{space}px]"
    assert parse_answer(units, Task.POINTING, FRAME).value.tolist() == [[100, 200]]
    percent = f"[10{space}%,{space}20{space}%]"
    assert parse_answer(percent, Task.POINTING, FRAME).value.tolist() == [[100, 200]]
    quoted = f'["{space}100{space}", "{space}200"]'
    assert parse_answer(quoted, Task.POINTING, FRAME).value.tolist() == [[100, 200]]


def test_units_are_kept_with_the_number():
    assert type(number_of("12.5 px")) is Pixels
    assert type(number_of("1e1PIXELS")) is Pixels
    assert type(number_of("50 %")) is Percent
    assert [number_of("12.5 px"), number_of("50 %"), number_of("-INF")] == [12.5, 50, float("-inf")]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('"bbox_2d":', "bbox2d"),
        ("X-coordinate =", "x"),
        ("'Top Left':", "topleft"),
        ("upper_left corner:", "topleft"),
        ("lower right", "bottomright"),
        ("x_min:", "xmin"),
        ("minX:", "xmin"),
        ("left:", "xmin"),
        ("h:", "height"),
        ("centre_x:", "cx"),
    ],
)
def test_synonyms_of_a_key_are_one_key(written, key):
    assert key_of(written) == key
