"""Every assumption of the tolerant reading is reported, and a guess is never well formed."""

import json

import pytest

from maniplvm.geometry import FRAMES
from maniplvm.rewards import score
from maniplvm.tasks import BoxTarget, Guess, ParseStatus, Sample, Task, parse_answer

FRAME = FRAMES["pixels"].bind((1000, 1000))
NORMALIZED = FRAMES["qwen3_vl"].bind((640, 480))
BOX = [100.0, 200.0, 300.0, 400.0]
TRACE = [[100.0, 200.0], [300.0, 400.0], [500.0, 600.0]]
LIST = json.dumps(TRACE)

BOXES = {
    Guess.SWAPPED_CORNERS: [
        "[300, 400, 100, 200]",
        "[300, 200, 100, 400]",
        "(100, 400), (300, 200)",
    ],
    Guess.CORNER_AND_SIZE: [
        '{"affordance": {"x": 100, "y": 200, "width": 200, "height": 200}}',
        '{"x": 100, "y": 200, "w": 200, "h": 200}',
        "x: 100, y: 200, width: 200, height: 200",
    ],
    Guess.SEVERAL_ANSWERS: [
        "<answer>[1, 1, 2, 2]</answer> or rather <answer>[100, 200, 300, 400]</answer>",
        "<answer>[1, 1, 2, 2], better [100, 200, 300, 400]</answer>",
        "[[1, 1, 2, 2], [100, 200, 300, 400]]",
        '[{"bbox_2d": [1, 1, 2, 2]}, {"bbox_2d": [100, 200, 300, 400]}]',
        '{"bbox_2d": [1, 1, 2, 2], "bbox_2d": [100, 200, 300, 400]}',
        "(1, 1), (2, 2), (100, 200), (300, 400)",
        "top left (1, 1), bottom right (2, 2); top left (100, 200), bottom right (300, 400)",
    ],
    Guess.OTHER_POINTS: ["[100, 200, 300, 400], from (1, 1) to (2, 2)"],
    Guess.CUT_OFF: ['[{"bbox_2d": [100, 200, 300, 400], "lab', "[[100, 200, 300, 400], [1, 2"],
    Guess.TOO_LONG: ["<answer>[100, 200, 300, 400]" + "." * 9000 + "</answer>"],
    Guess.QUOTED_NUMBERS: [
        '["100", "200", "300", "400"]',
        '{"x1": "100", "y1": "200", "x2": "300", "y2": "400"}',
    ],
    Guess.PERCENT: ["[10%, 20%, 30 %, 40%]"],
}
TRACES = {
    Guess.SEVERAL_ANSWERS: [
        f"Start: [1, 2], [3, 4], [5, 6]. The path is {LIST}.",
        f'[{{"points": [[1, 1], [2, 2], [3, 3]]}}, {{"points": {LIST}}}]',
        f'{{"trajectory": [[1, 1], [2, 2], [3, 3]], "trajectory": {LIST}}}',
    ],
    Guess.OTHER_POINTS: [f"{LIST} so the end is (500, 600)", f"from (1, 2) to (3, 4): {LIST}"],
    Guess.CUT_OFF: [LIST[:-1], LIST[:-1] + ", [700, ", "[(100, 200), (300, 400), (500, 600)}"],
    Guess.DEPTH_IGNORED: ["[(100, 200, 0.5), (300, 400, 0.6), (500, 600, 0.7)]"],
    Guess.DECIMAL_COMMA: ["[(100,0; 200,0), (300,0; 400,0), (500,0; 600,0)]"],
    Guess.QUOTED_NUMBERS: ['[["100", "200"], ["300", "400"], ["500", "600"]]'],
}


@pytest.mark.parametrize(
    ("task", "guess", "text", "expected"),
    [
        *((Task.AFFORDANCE, guess, text, BOX) for guess, texts in BOXES.items() for text in texts),
        *(
            (Task.TRAJECTORY, guess, text, TRACE)
            for guess, texts in TRACES.items()
            for text in texts
        ),
    ],
)
def test_a_reading_that_had_to_assume_something_reports_it(task, guess, text, expected):
    for completion in (text, f"<think>the rim</think><answer>{text}</answer>"):
        answer = parse_answer(completion, task, FRAME)
        assert answer.value.round(9).tolist() == expected
        assert answer.status is ParseStatus.GUESSED
        assert guess in answer.guesses
        assert not answer.well_formed


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (Task.AFFORDANCE, "The box [100, 200, 300, 400], so <answer>[100, 200, 300, 400]</answer>"),
        (Task.AFFORDANCE, "[100, 200, 300, 400]. I repeat: [100, 200, 300, 400]"),
        (
            Task.AFFORDANCE,
            "<answer>[100, 200, 300, 400]</answer><answer>[100, 200, 300, 400]</answer>",
        ),
        (Task.AFFORDANCE, "bottom right: (300, 400), top left: (100, 200)"),
        (Task.AFFORDANCE, "The handle (see [100, 200, 300, 400] in the image"),
        (Task.AFFORDANCE, "[100px, 200px, 300 pixels, 400 px]"),
        (Task.TRAJECTORY, f"{LIST} and again {LIST}"),
        (Task.TRAJECTORY, f"<answer>{LIST}"),
    ],
)
def test_a_reading_without_a_choice_is_no_guess(task, text):
    answer = parse_answer(text, task, FRAME)
    assert answer.status is ParseStatus.OK
    assert answer.guesses == ()


def test_a_long_text_without_tags_is_read_from_its_end():
    answer = parse_answer("so " * 4000 + str(BOX), Task.AFFORDANCE, FRAME)
    assert answer.value.tolist() == BOX
    assert answer.guesses == (Guess.TOO_LONG,)


def test_pixels_are_a_guess_in_a_frame_of_other_numbers():
    text = "[100px, 200px, 300px, 400px]"
    assert parse_answer(text, Task.AFFORDANCE, NORMALIZED).guesses == (Guess.PIXEL_UNIT,)


def test_percent_refers_to_the_sides_in_every_frame():
    for name in ("pixels", "qwen2_5_vl", "qwen3_vl", "unit", "molmo"):
        answer = parse_answer("[(50%, 25%)]", Task.POINTING, FRAMES[name].bind((640, 480)))
        assert answer.value.round(6).tolist() == [[320, 120]]
        assert answer.guesses == (Guess.PERCENT,)


def test_a_guess_is_scored_but_gets_no_format_reward():
    sample = Sample("s", Task.AFFORDANCE, "-", (1000, 1000), BoxTarget(BOX))
    result = score("<think>a</think><answer>[300, 400, 100, 200]</answer>", sample)
    assert result.terms == {"format": 0.0, "iou": 1.0}
    assert result.status is ParseStatus.GUESSED
