import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from maniplvm.data import PREDICTION_STYLE, TARGET_STYLE, draw_answer, draw_answers
from maniplvm.tasks.sample import BoxTarget, TraceTarget

GREY = Image.new("RGB", (640, 480), (90, 90, 90))
COORDINATE = st.floats(-1e12, 1e12)


def near(image, style, tolerance=30):
    """The pixels (x, y) with a style's colour."""
    colour = np.array(ImageColor.getrgb(style.colour))
    distance = np.abs(np.asarray(image).astype(int) - colour).max(axis=2)
    return np.argwhere(distance < tolerance)[:, ::-1]


def test_a_box_is_outlined_exactly_from_outside():
    drawn = draw_answer(GREY, BoxTarget([200, 100, 400, 300]))
    found = near(drawn, TARGET_STYLE)
    assert np.abs(found.min(axis=0) - (200, 100)).max() <= 5
    assert np.abs(found.max(axis=0) - (400, 300)).max() <= 5
    assert (found.min(axis=0) < (200, 100)).all()
    inside = np.asarray(drawn)[103:297, 203:397]
    assert (inside == 90).all()


def test_a_box_is_drawn_where_it_is_at_any_width():
    drawn = draw_answer(GREY, [200, 100, 400, 300], width=320)
    assert drawn.size == (320, 240)
    found = near(drawn, TARGET_STYLE)
    assert np.abs(found.min(axis=0) - (100, 50)).max() <= 4
    assert np.abs(found.max(axis=0) - (200, 150)).max() <= 4


def test_a_tiny_box_is_magnified_in_the_farthest_corner():
    drawn = draw_answer(GREY, [560, 60, 580, 75])
    plain = draw_answer(GREY, [560, 60, 580, 75], zoom=False)
    assert len(near(plain, TARGET_STYLE)) > 60
    assert near(plain, TARGET_STYLE).min(axis=0)[0] > 500
    corner = near(drawn, TARGET_STYLE)
    corner = corner[corner[:, 0] < 300]
    assert len(corner) > 200
    assert (corner[:, 1] > 480 - 0.4 * 480).all()
    spread = corner.max(axis=0) - corner.min(axis=0)
    assert 50 < spread[0] < 90
    assert spread[0] > spread[1]


@pytest.mark.parametrize("box", [[2, 2, 10, 9], [625, 470, 640, 480], [-90, -90, -80, -80]])
def test_the_magnified_part_stays_inside_the_image(box):
    assert draw_answer(GREY, box).size == (640, 480)


def test_large_boxes_and_traces_are_not_magnified():
    for answer in ([100, 100, 300, 300], [[10, 10], [20, 20]]):
        assert draw_answer(GREY, answer) == draw_answer(GREY, answer, zoom=False)


def test_a_trace_passes_its_points_and_shows_its_order():
    trace = TraceTarget([[100, 100], [300, 120], [500, 400]])
    drawn = np.asarray(draw_answer(GREY, trace)).astype(int)
    assert drawn[100, 100].min() > 240, "the start is a ring with a white middle"
    assert (drawn[120, 300] != 90).any()
    head = near(Image.fromarray(drawn[370:405, 470:505].astype(np.uint8)), TARGET_STYLE)
    tail = near(Image.fromarray(drawn[95:130, 130:165].astype(np.uint8)), TARGET_STYLE)
    assert len(head) > len(tail), "the end is an arrow head"
    assert (drawn[410:, :] == 90).all(), "the arrow head ends at the last point"


def test_reversing_a_trace_changes_its_drawing():
    points = [[100, 100], [300, 120], [500, 400]]
    assert draw_answer(GREY, points) != draw_answer(GREY, points[::-1])


@pytest.mark.parametrize(
    "points", [np.empty((0, 2)), [[5, 5]], [[5, 5], [5, 5]], [[5, 5], [9, 9], [5, 5]]]
)
def test_degenerate_traces_can_be_drawn(points):
    drawn = draw_answer(GREY, points)
    assert (drawn == GREY) == (len(points) == 0)


def test_target_and_prediction_differ_by_more_than_colour():
    box = [100, 100, 400, 300]
    truth = draw_answer(GREY, box, TARGET_STYLE)
    prediction = draw_answer(GREY, box, PREDICTION_STYLE)
    assert len(near(prediction, PREDICTION_STYLE)) < 0.9 * len(near(truth, TARGET_STYLE)), (
        "it is dashed"
    )
    brightness = [
        np.dot(ImageColor.getrgb(s.colour), (0.2, 0.7, 0.1))
        for s in (TARGET_STYLE, PREDICTION_STYLE)
    ]
    blueness = [ImageColor.getrgb(s.colour)[2] for s in (TARGET_STYLE, PREDICTION_STYLE)]
    assert min(brightness) > 120
    assert abs(blueness[0] - blueness[1]) > 150, "blue against orange: apart for every eye"


def test_the_legend_names_each_style_once_below_the_image():
    answers = [
        ([1, 1, 300, 300], TARGET_STYLE),
        ([9, 9, 310, 310], PREDICTION_STYLE),
        ([2, 2, 99, 9], TARGET_STYLE),
    ]
    with_legend = draw_answers(GREY, answers)
    without = draw_answers(GREY, answers, legend=False)
    assert with_legend.width == 640
    assert with_legend.height > 480
    assert with_legend.crop((0, 0, 640, 480)) == without
    strip = with_legend.crop((0, 480, 640, with_legend.height))
    for style in (TARGET_STYLE, PREDICTION_STYLE):
        assert len(near(strip, style)) > 20
    twice = draw_answers(GREY, answers[:2]).crop((0, 480, 640, with_legend.height))
    assert strip == twice


def test_an_image_without_answers_is_only_copied():
    copied = draw_answers(GREY, [], legend=False)
    assert copied == GREY
    assert copied is not GREY


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_any_kind_of_image_can_be_drawn_on(mode):
    assert draw_answer(Image.new(mode, (64, 48)), [1, 2, 30, 40]).mode == "RGB"


@pytest.mark.parametrize("answer", [[1, 2, 3], [[1, 2, 3]], 5, [[[1, 2]]]])
def test_an_answer_of_another_shape_is_refused(answer):
    with pytest.raises(ValueError, match=r"an answer has shape \(4,\) or \(N, 2\), got"):
        draw_answer(GREY, answer)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="must be finite"):
        draw_answer(GREY, [1, 2, value, 4])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(COORDINATE, min_size=4, max_size=4)
    | st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=4)
)
def test_any_finite_answer_can_be_drawn(answer):
    small = Image.new("RGB", (32, 24))
    assert draw_answers(small, [(answer, PREDICTION_STYLE)], legend=False).size == (32, 24)
