import pytest

from maniplvm.data.readers._conversations import box_in, instruction_of, trace_in
from maniplvm.data.record_errors import Cause, RecordError
from maniplvm.geometry.frames import FRAMES
from maniplvm.tasks.sample import BoxTarget, TraceTarget

SIZE = (200, 100)
PIXELS = FRAMES["pixels"].bind(SIZE)
TRACE = TraceTarget([[12, 30], [14, 33], [90, 60]])
LISTS = "[[12, 30], [14, 33], [90, 60]]"
ACTION = "[0.1, -0.2, 0.3, -2.01, 0.4, 1.9, 0.7, 1.0]"


@pytest.mark.parametrize(
    "answer",
    [
        LISTS,
        "[(12, 30), (14, 33), (90, 60)]",
        "((12,30),(14,33),(90,60),)",
        f"The trajectory: {LISTS}",
        f"The next action step: {ACTION}. The trajectory: {LISTS}",
        f"The trajectory: {LISTS}; The next step: {ACTION}",
        f"The next action step: [{ACTION}, {ACTION}]. The trajectory: {LISTS}.",
        f"The trajectory: {LISTS}. The next action step: [{ACTION}, {ACTION}]",
        f"<think>a [b]</think><answer>{LISTS}</answer>",
    ],
)
def test_the_list_of_points_is_the_trace_whatever_stands_around_it(answer):
    assert trace_in(answer, PIXELS) == TRACE


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("unit", "[[0.06, 0.3], [0.07, 0.33], [0.45, 0.6]]"),
        ("qwen3_vl", "[[60, 300], [70, 330], [450, 600]]"),
        ("gemini_er", "[[300, 60], [330, 70], [600, 450]]"),
    ],
)
def test_the_stated_frame_decides_what_the_numbers_mean(name, answer):
    found = trace_in(answer, FRAMES[name].bind(SIZE))
    assert found.points == pytest.approx(TRACE.points)


def test_a_trace_may_have_any_number_of_points_from_two_on():
    points = [[i % 200, i % 100] for i in range(2, 600)]
    assert trace_in(str(points), PIXELS) == TraceTarget(points)
    assert len(trace_in("[[1, 2], [3, 4]]", PIXELS).points) == 2


@pytest.mark.parametrize(
    ("answer", "cause", "words"),
    [
        ("I cannot see it", Cause.BAD_VALUE, "needs one list of points [x, y], got 0"),
        ("The trajectory: []", Cause.BAD_VALUE, "got 0: str 'The trajectory"),
        (f"The next action step: {ACTION}", Cause.BAD_VALUE, "got 0"),
        (f"The next action step: [{ACTION}, {ACTION}]", Cause.BAD_VALUE, "got 0"),
        ("[[12, 30, 1], [14, 33, 0]]", Cause.BAD_VALUE, "got 0"),
        ("[[12, 30], [14, 33, 0]]", Cause.BAD_VALUE, "got 0"),
        ("[[12, 30], [14, 33]", Cause.BAD_VALUE, "got 0"),
        ("[12, 30, 14, 33, 90, 60]", Cause.BAD_VALUE, "got 0"),
        (f"{LISTS} or {LISTS}", Cause.BAD_VALUE, "got 2"),
        ("[[12, 30]]", Cause.TOO_FEW_POINTS, "at least 2 points, got 1"),
        ("[[a, b], [c, d]]", Cause.BAD_VALUE, "is no trace"),
        ("[[12, 30], [14, 3 3]]", Cause.BAD_VALUE, "got 0"),
        ("[[12, nan], [14, 33]]", Cause.NOT_FINITE, "non_finite"),
        ("[[12, 1e999], [14, 33]]", Cause.NOT_FINITE, "non_finite"),
        ("[[12, 30], [14, 133]]", Cause.OUTSIDE_IMAGE, "reaches (14, 133)"),
        ("[[12, 30], [1400, 33]]", Cause.OUTSIDE_IMAGE, "out_of_range"),
        ("[[0.1, 0.2], [0.3, 0.4]]", Cause.NOT_PIXELS, "in which frame it is: --frame unit"),
        ("[[12, 30], [14, 33]]" + " " * 9000, Cause.BAD_VALUE, "9,020 characters; at most 8,192"),
    ],
)
def test_an_answer_without_exactly_one_trace_is_refused(answer, cause, words):
    with pytest.raises(RecordError) as error:
        trace_in(answer, PIXELS)
    assert error.value.cause is cause
    assert words in error.value.detail


@pytest.mark.parametrize(
    "answer",
    [
        "[10, 20, 50, 60]",
        "(10, 20, 50, 60)",
        '{"bbox_2d": [10, 20, 50, 60]}',
        "The area is [10, 20, 50, 60].",
        "<answer>[10, 20, 50, 60]</answer>",
        "<think>where?</think><answer>[10, 20, 50, 60]</answer>",
    ],
)
def test_a_box_is_read_in_the_answer_formats_of_the_parser(answer):
    assert box_in(answer, PIXELS) == BoxTarget([10, 20, 50, 60])


def test_a_box_in_another_frame_is_brought_to_pixels():
    found = box_in("[0.05, 0.2, 0.25, 0.6]", FRAMES["unit"].bind(SIZE))
    assert found.xyxy == pytest.approx([10, 20, 50, 60])


@pytest.mark.parametrize(
    ("answer", "cause", "words"),
    [
        ("nothing to hold", Cause.BAD_VALUE, "is no box"),
        ("[10, 20, 50]", Cause.BAD_VALUE, "wrong_count"),
        ("[10, 20, 10, 60]", Cause.EMPTY_BOX, "empty_box"),
        ("[50, 20, 10, 60]", Cause.EMPTY_BOX, "swapped_corners"),
        ("[10, nan, 50, 60]", Cause.NOT_FINITE, "non_finite"),
        ("[10, 20, 50, 160]", Cause.OUTSIDE_IMAGE, "reaches (50, 160)"),
        ("[0.1, 0.2, 0.3, 0.4]", Cause.NOT_PIXELS, "--frame unit"),
    ],
)
def test_an_answer_that_is_no_box_is_refused(answer, cause, words):
    with pytest.raises(RecordError) as error:
        box_in(answer, PIXELS)
    assert error.value.cause is cause
    assert words in error.value.detail


@pytest.mark.parametrize(
    ("question", "instruction"),
    [
        ('<image>\nYou are a robot. The task is "lift the lid". Please predict.', "lift the lid"),
        ('the task is "lift it", and the previous five steps is [[1]], can you', "lift it"),
        ('The task is \\"lift it\\", and the previous', "lift it"),
        ('The task is "put "this" there", and the previous five', 'put "this" there'),
        ("The task is lift it, then go, and the previous five steps is [[1]]", "lift it, then go"),
        ("The task is lift it. Where is the gripper?", "lift it"),
        ("<image> Where to hold the pot?", "Where to hold the pot?"),
    ],
)
def test_the_instruction_is_what_the_question_calls_the_task(question, instruction):
    assert instruction_of(question) == instruction


def test_a_question_of_nothing_is_refused():
    with pytest.raises(RecordError, match="the question is blank"):
        instruction_of("<image>\n ")
