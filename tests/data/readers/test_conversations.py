import pytest

from maniplvm.data.readers._conversations import instruction_of, parse_box, parse_trace
from maniplvm.data.record_errors import ErrorCode, RecordError
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
def test_the_only_list_of_points_is_the_trace_and_other_text_is_ignored(answer):
    assert parse_trace(answer, PIXELS) == TRACE


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("unit", "[[0.06, 0.3], [0.07, 0.33], [0.45, 0.6]]"),
        ("qwen3_vl", "[[60, 300], [70, 330], [450, 600]]"),
        ("gemini_er", "[[300, 60], [330, 70], [600, 450]]"),
    ],
)
def test_the_numbers_are_read_in_the_given_frame(name, answer):
    found = parse_trace(answer, FRAMES[name].bind(SIZE))
    assert found.points == pytest.approx(TRACE.points)


def test_a_trace_may_have_two_or_more_points():
    points = [[i % 200, i % 100] for i in range(2, 600)]
    assert parse_trace(str(points), PIXELS) == TraceTarget(points)
    assert len(parse_trace("[[1, 2], [3, 4]]", PIXELS).points) == 2


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ("I cannot see it", ErrorCode.BAD_VALUE, "needs one list of points [x, y], got 0"),
        ("The trajectory: []", ErrorCode.BAD_VALUE, "got 0: str 'The trajectory"),
        (f"The next action step: {ACTION}", ErrorCode.BAD_VALUE, "got 0"),
        (f"The next action step: [{ACTION}, {ACTION}]", ErrorCode.BAD_VALUE, "got 0"),
        ("[[12, 30, 1], [14, 33, 0]]", ErrorCode.BAD_VALUE, "got 0"),
        ("[[12, 30], [14, 33, 0]]", ErrorCode.BAD_VALUE, "got 0"),
        ("[[12, 30], [14, 33]", ErrorCode.BAD_VALUE, "got 0"),
        ("[12, 30, 14, 33, 90, 60]", ErrorCode.BAD_VALUE, "got 0"),
        (f"{LISTS} or {LISTS}", ErrorCode.BAD_VALUE, "got 2"),
        ("[[12, 30]]", ErrorCode.TOO_FEW_POINTS, "at least 2 points, got 1"),
        ("[[a, b], [c, d]]", ErrorCode.BAD_VALUE, "is not a trace"),
        ('[["12", "30"], ["14", "33"]]', ErrorCode.BAD_VALUE, "quoted_numbers"),
        ("[[12, 30], [14, 3 3]]", ErrorCode.BAD_VALUE, "got 0"),
        ("[[12, nan], [14, 33]]", ErrorCode.NOT_FINITE, "non_finite"),
        ("[[12, 1e999], [14, 33]]", ErrorCode.NOT_FINITE, "non_finite"),
        ("[[12, 30], [14, 133]]", ErrorCode.OUTSIDE_IMAGE, "reaches (14, 133)"),
        ("[[12, 30], [1400, 33]]", ErrorCode.OUTSIDE_IMAGE, "out_of_range"),
        (
            "[[0.1, 0.2], [0.3, 0.4]]",
            ErrorCode.NOT_PIXELS,
            "give the coordinate frame: --frame unit",
        ),
        (
            "[[12, 30], [14, 33]]" + " " * 9000,
            ErrorCode.BAD_VALUE,
            "9,020 characters; at most 8,192",
        ),
    ],
)
def test_an_answer_without_exactly_one_trace_is_refused(answer, code, words):
    with pytest.raises(RecordError) as error:
        parse_trace(answer, PIXELS)
    assert error.value.code is code
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
def test_a_box_is_read_in_every_answer_format_of_the_parser(answer):
    assert parse_box(answer, PIXELS) == BoxTarget([10, 20, 50, 60])


def test_a_box_in_another_frame_is_converted_to_pixels():
    found = parse_box("[0.05, 0.2, 0.25, 0.6]", FRAMES["unit"].bind(SIZE))
    assert found.xyxy == pytest.approx([10, 20, 50, 60])


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ("nothing to hold", ErrorCode.BAD_VALUE, "is not a box"),
        ("[10, 20, 50]", ErrorCode.BAD_VALUE, "wrong_count"),
        ("[10, 20, 10, 60]", ErrorCode.EMPTY_BOX, "empty_box"),
        ("[50, 20, 10, 60]", ErrorCode.EMPTY_BOX, "swapped_corners"),
        ('["10", "20", "50", "60"]', ErrorCode.BAD_VALUE, "quoted_numbers"),
        ("[10%, 20%, 50%, 60%]", ErrorCode.BAD_VALUE, "percent"),
        ("[10, 20, 50, 60] or [11, 20, 50, 60]", ErrorCode.BAD_VALUE, "several_answers"),
        ("[10, nan, 50, 60]", ErrorCode.NOT_FINITE, "non_finite"),
        ("[10, 20, 50, 160]", ErrorCode.OUTSIDE_IMAGE, "reaches (50, 160)"),
        ("[0.1, 0.2, 0.3, 0.4]", ErrorCode.NOT_PIXELS, "--frame unit"),
    ],
)
def test_an_answer_that_is_not_a_box_is_refused(answer, code, words):
    with pytest.raises(RecordError) as error:
        parse_box(answer, PIXELS)
    assert error.value.code is code
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
def test_the_instruction_is_the_task_in_the_question(question, instruction):
    assert instruction_of(question) == instruction


def test_a_question_without_text_is_refused():
    with pytest.raises(RecordError, match="the question is blank"):
        instruction_of("<image>\n ")
