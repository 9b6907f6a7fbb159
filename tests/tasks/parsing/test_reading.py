import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.geometry.frames import FRAMES
from maniplvm.tasks import ParseStatus, Task, parse_answer

PIXELS = FRAMES["pixels"].bind((640, 480))
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "real"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="the real samples are not at hand")

BOX = [10.0, 20.0, 30.0, 40.0]
TRACE = [[137.0, 116.0], [169.0, 94.0], [208.0, 84.0], [228.0, 80.0]]


def read(text, task="affordance", frame=PIXELS):
    return parse_answer(text, task, frame)


def wrap(payload, reasoning="the handle"):
    return f"<think>{reasoning}</think><answer>{payload}</answer>"


@pytest.mark.parametrize(
    "payload",
    [
        "[10, 20, 30, 40]",
        " [10.0,20,3e1,4E+1] ",
        '{"bbox_2d": [10, 20, 30, 40]}',
        '[{"bbox_2d": [10, 20, 30, 40], "label": "handle"}]',
    ],
)
def test_the_strict_forms_of_a_box_get_the_format_reward(payload):
    answer = read(wrap(payload))
    assert answer.well_formed
    assert answer.parsed
    assert answer.value.tolist() == BOX
    assert answer.reasoning == "the handle"
    assert not answer.value.flags.writeable


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(TRACE),
        "\n[[137, 116], [169, 94],\n [208, 84], [228, 80]]\n",
        json.dumps([{"point_2d": point, "label": "x"} for point in TRACE]),
    ],
)
def test_the_strict_forms_of_a_trace_get_the_format_reward(payload):
    answer = read(wrap(payload), "trajectory")
    assert answer.well_formed
    assert answer.value.tolist() == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "[10, 20, 30, 40]",
        "(10, 20, 30, 40)",
        "[[10, 20, 30, 40]]",
        "[[10, 20], [30, 40]]",
        "[(10, 20), (30, 40)]",
        "<|box_start|>(10,20),(30,40)<|box_end|>",
        '{"bbox_2d": [10, 20, 30, 40]}',
        "{'bbox_2d': [10, 20, 30, 40], 'label': 'a (left) handle'}",
        '[{"bbox_2d": [10, 20, 30, 40], "point_2d": [15, 25], "affordance": "hold"}]',
        '{"x1": 10, "y1": 20, "x2": 30, "y2": 40}',
        "{xmin: 10, ymin: 20, xmax: 30, ymax: 40}",
        '{"answer": "[10, 20, 30, 40]"}',
        '{"result": {"box": [10, 20, 30, 40]}}',
        '```json\n[{"bbox_2d": [10, 20, 30, 40], "label": "handle"}]\n```',
        "The mug's handle is at [10, 20, 30, 40], that's it.",
        'The "handle" (upper part) lies at [10, 20, 30, 40].',
        "[+10., 20.0, 3.0e1, 40]",
        "[10 20 30 40]",
        "<think>hm</think>[10, 20, 30, 40]",
        "<think>hm<answer>[10, 20, 30, 40]</answer>",
        "hm</think><answer>[10, 20, 30, 40]",
        "<answer>[10, 20, 30, 40]",
        "<ANSWER>[10, 20, 30, 40]</ANSWER>",
        "<think>[1, 1, 2, 2]</think>So: [10, 20, 30, 40]",
        "<think>a</think><answer>[10, 20, 30, 40]</answer><think>[1, 1, 2, 2]</think>",
    ],
)
def test_every_box_format_is_parsed_without_the_format_reward(text):
    answer = read(text)
    assert answer.status is ParseStatus.OK
    assert answer.value.tolist() == BOX
    assert not answer.well_formed


@pytest.mark.parametrize(
    "text",
    [
        "[(137, 116), (169, 94), (208, 84), (228, 80)]",
        "((137, 116), (169, 94), (208, 84), (228, 80))",
        "(137, 116), (169, 94), (208, 84) and (228, 80)",
        "(137, 116) -> (169, 94) -> (208, 84) -> (228, 80)",
        '[{"point_2d": [137, 116]}, {"point_2d": [169, 94]}, {"point_2d": [208, 84]}, '
        '{"point_2d": [228, 80], "label": "end"}]',
        '{"trajectory": [[137, 116], [169, 94], [208, 84], [228, 80]]}',
        '{"points": [{"x": 137, "y": 116}, {"x": 169, "y": 94}, {"x": 208, "y": 84}, '
        '{"x": 228, "y": 80}]}',
        "[137, 116, 169, 94, 208, 84, 228, 80]",
        "[[[137, 116], [169, 94], [208, 84], [228, 80]]]",
    ],
)
def test_every_trace_format_is_parsed(text):
    answer = read(text, "trajectory")
    assert answer.status is ParseStatus.OK
    assert answer.value.tolist() == TRACE
    assert not answer.well_formed


POINTS = [[137.0, 116.0], [169.0, 94.0]]


@pytest.mark.parametrize(
    "payload",
    [
        "[[137, 116], [169, 94]]",
        '[{"point_2d": [137, 116], "label": "rim"}, {"point_2d": [169, 94], "label": "rim"}]',
        '[{"point": [137, 116], "label": "rim"}, {"point_2d": [169, 94]}]',
    ],
)
def test_the_strict_forms_of_points_get_the_format_reward(payload):
    answer = read(wrap(payload), "pointing")
    assert answer.well_formed
    assert answer.value.tolist() == POINTS


@pytest.mark.parametrize(
    "text",
    [
        "[(137, 116), (169, 94)]",
        "((137, 116), (169, 94))",
        "(137, 116), (169, 94)",
        "Touch (137, 116) and (169, 94).",
        '[{"point_2d": [137, 116], "label": "a (left) rim"}, {"point_2d": [169, 94]}]',
        '{"point_2d": [137, 116]}, {"point_2d": [169, 94]}',
        '```json\n[{"point_2d": [137, 116]}, {"point_2d": [169, 94]}]\n```',
        '{"points": [[137, 116], [169, 94]]}',
        '{"result": {"points": [{"x": 137, "y": 116}, {"x": 169, "y": 94}]}}',
        "<point>[[137, 116], [169, 94]]</point>",
        "<think>hm<answer>[[137, 116], [169, 94]]",
        "<think>[[1, 1], [2, 2]]</think>So: [[137, 116], [169, 94]]",
        '<points x1="137" y1="116" x2="169" y2="94" alt="rim">rim</points>',
        "<points x10='169' y10='94' x2='137' y2='116'>",
        '<point x="137" y="116.0" alt="rim">rim</point> and <POINT y=" 94" x="169">',
    ],
)
def test_every_point_format_is_parsed_without_the_format_reward(text):
    answer = read(text, "pointing")
    assert answer.status is ParseStatus.OK
    assert answer.value.tolist() == POINTS
    assert not answer.well_formed


@pytest.mark.parametrize(
    "text", ["(137, 116)", "[137, 116]", '{"point_2d": [137, 116]}', "{x: 137, y: 116}"]
)
def test_one_bare_pair_is_one_point(text):
    assert read(text, "pointing").value.tolist() == POINTS[:1]


def test_points_of_tags_are_percentages_only_in_a_frame_of_percentages():
    text = '<point x="50" y="25" alt="rim">rim</point>'
    assert read(text, "pointing").value.tolist() == [[50, 25]]
    molmo = FRAMES["molmo"].bind((640, 480))
    assert read(text, "pointing", molmo).value == pytest.approx(np.array([[320, 120]]))


def test_a_frame_may_put_y_first():
    frame = FRAMES["gemini_er"].bind((640, 480))
    text = '[{"point": [250, 500], "label": "rim"}]'
    assert read(text, "pointing", frame).value == pytest.approx(np.array([[320, 120]]))
    assert read(wrap(text), "pointing", frame).value == pytest.approx(np.array([[320, 120]]))
    named = '<point x="500" y="250">'
    assert read(named, "pointing", frame).value == pytest.approx(np.array([[320, 120]]))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("[10, 20, 30, 40]", "wrong_count"),
        ('<answer>{"bbox_2d": [10, 20, 30, 40]}</answer>', "wrong_count"),
        (wrap("[]"), "not_coordinates"),
        (wrap(json.dumps([[1, 2]] * 101)), "wrong_count"),
        (wrap("[[NaN, 2]]"), "non_finite"),
        (wrap("[[5000, 2]]"), "out_of_range"),
        ('<point x="a" y="2">', "no_answer_tag"),
        ('<points x1="1" y2="2">', "no_answer_tag"),
    ],
)
def test_an_invalid_point_answer_has_its_status(text, status):
    answer = read(text, "pointing")
    assert answer.status == status
    assert answer.value is None


@pytest.mark.parametrize(
    ("text", "task", "status", "format_status"),
    [
        ("", "affordance", "no_answer_tag", "no_answer_tag"),
        ("I do not know", "affordance", "no_answer_tag", "no_answer_tag"),
        (wrap(""), "affordance", "not_coordinates", "not_coordinates"),
        (wrap("the handle"), "affordance", "not_coordinates", "not_coordinates"),
        (wrap("[1, 2, 3]"), "affordance", "wrong_count", "wrong_count"),
        (wrap("[[1, 2], [3, 4]]"), "trajectory", "wrong_count", "wrong_count"),
        (wrap(json.dumps([[1, 2]] * 11)), "trajectory", "wrong_count", "wrong_count"),
        (wrap("[[1, 2]]"), "trajectory", "wrong_count", "wrong_count"),
        (wrap("(5, 6)"), "trajectory", "wrong_count", "not_coordinates"),
        (wrap("[]"), "trajectory", "not_coordinates", "wrong_count"),
        (wrap("5"), "trajectory", "not_coordinates", "not_coordinates"),
        (wrap("[NaN, 1, 2, 3]"), "affordance", "non_finite", "non_finite"),
        (wrap("[Infinity, 1, 2, 3]"), "affordance", "non_finite", "non_finite"),
        (wrap("[1e999, 1, 2, 3]"), "affordance", "non_finite", "non_finite"),
        (wrap("[5, 5, 5, 9]"), "affordance", "empty_box", "empty_box"),
        (wrap("[5, 5, 5e-324, 9]"), "affordance", "guessed", "swapped_corners"),
        (wrap("[0, 0, 5e-324, 9]"), "affordance", "empty_box", "empty_box"),
        (wrap("[5, 9, 8, 9.0000000000001]"), "affordance", "empty_box", "empty_box"),
        (wrap("[9, 5, 5, 9]"), "affordance", "guessed", "swapped_corners"),
        (wrap("[-5, 5, 50, 9]"), "affordance", "ok", "out_of_range"),
        (wrap("[5, 5, 5000, 9]"), "affordance", "out_of_range", "out_of_range"),
        (wrap("[true, 1, 2, 3]"), "affordance", "not_coordinates", "not_coordinates"),
        (wrap('["1", "2", "3", "4"]'), "affordance", "guessed", "not_coordinates"),
        (wrap("[1, 2, 3, 4]") + " done", "affordance", "ok", "text_outside_tags"),
        ("so: " + wrap("[1, 2, 3, 4]"), "affordance", "ok", "text_outside_tags"),
        ("<think></think>x<answer>[1,2,3,4]</answer>", "affordance", "ok", "text_outside_tags"),
        ("<answer>[1, 2, 3, 4]</answer><think></think>", "affordance", "ok", "text_outside_tags"),
        ("<answer>[1, 2, 3, 4]</answer>", "affordance", "ok", "no_think_block"),
        ("<think><think></think><answer>[1,2,3,4]</answer>", "affordance", "ok", "repeated_tag"),
        ('{"x": 5, "y": 5, "width": 1200, "height": 9}', "affordance", "guessed", "no_answer_tag"),
        (
            '{"x": 600, "y": 5, "width": 900, "height": 9}',
            "affordance",
            "out_of_range",
            "no_answer_tag",
        ),
        (wrap("[[1, 2, 3, NaN]]"), "affordance", "non_finite", "not_coordinates"),
        (wrap("[1, 2, 3, 4]" + " " * 9000), "affordance", "ok", "too_long"),
        (wrap("[" * 100), "affordance", "not_coordinates", "not_coordinates"),
        (wrap("9" * 10**5), "affordance", "not_coordinates", "too_long"),
        (wrap("[1, 2, 3, " + "9" * 50 + "]"), "affordance", "out_of_range", "out_of_range"),
        (wrap('{"x": 1, "y": 2}'), "affordance", "wrong_count", "not_coordinates"),
        (wrap('{"points": 5}'), "trajectory", "not_coordinates", "not_coordinates"),
        (wrap("[[], []]"), "trajectory", "not_coordinates", "not_coordinates"),
    ],
)
def test_every_parse_error_has_its_status(text, task, status, format_status):
    answer = read(text, task)
    assert (answer.status, answer.format_status) == (status, format_status)
    assert answer.parsed == (status in ("ok", "guessed"))


def test_an_answer_inside_the_reasoning_does_not_count():
    inside = "<think>maybe <answer>[1, 1, 2, 2]</answer></think>"
    assert read(inside).status is ParseStatus.NO_ANSWER_TAG
    assert read(inside + "<answer>[10, 20, 30, 40]</answer>").value.tolist() == BOX
    after = "<answer>[10, 20, 30, 40]</answer>" + inside
    assert read(after).value.tolist() == BOX


def test_the_frame_converts_numbers_to_pixels():
    yx = FRAMES["gemini_er"].bind((640, 480))
    box = read(wrap("[250, 500, 500, 750]"), frame=yx)
    assert box.value == pytest.approx([320, 120, 480, 240])
    named = read('{"x1": 500, "y1": 250, "x2": 750, "y2": 500}', frame=yx)
    assert named.value == pytest.approx([320, 120, 480, 240])
    resized = FRAMES["qwen2_5_vl"].bind((640, 480))
    assert read(wrap("[0, 0, 644, 476]"), frame=resized).value == pytest.approx([0, 0, 640, 480])
    assert read(wrap("[0, 0, 645, 476]"), frame=resized).format_status == "out_of_range"


def test_concatenated_numbers_are_out_of_range():
    frame = FRAMES["embedded"].bind((160, 160))
    assert read(wrap("[10, 20, 4523, 60]"), frame=frame).status is ParseStatus.OUT_OF_RANGE


def test_without_a_frame_the_numbers_are_pixels_of_any_image():
    assert parse_answer(wrap("[10, 20, 3000, 4000]"), "affordance").value.tolist()[2:] == [
        3000,
        4000,
    ]
    assert parse_answer(wrap("[10, 20, 1e300, 4000]"), "affordance").status == "out_of_range"


def test_a_task_may_allow_other_point_counts():
    text = wrap("[[1, 2], [3, 4]]")
    assert parse_answer(text, "trajectory", PIXELS, point_range=(2, 2)).well_formed


def test_an_unknown_task_is_an_error():
    with pytest.raises(ValueError, match="grasp"):
        read("", "grasp")


JSONISH = st.recursive(
    st.floats() | st.integers() | st.text(max_size=5) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.sampled_from(["bbox_2d", "point_2d", "point", "x", "y", "points"]), inner
        )
    ),
    max_leaves=20,
).map(json.dumps)
FRAGMENTS = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<answer>", "</answer>", "[", "]", "(", ")", "{", "}", ",", ":"]
        + ["<point ", "<points ", 'x="1"', "y1='2'", ">", "point_2d", "point", "points"]
        + ["1", "-2.5", "1e9", "nan", "'", '"', "bbox_2d", "x", " ", "\n", "and", "[1,2,3,4]", "\\"]
    )
    | JSONISH
    | st.text(max_size=4),
    max_size=30,
).map("".join)


@given(
    text=FRAGMENTS | st.text(), task=st.sampled_from(list(Task)), name=st.sampled_from(list(FRAMES))
)
def test_no_text_raises_and_a_value_is_always_finite(text, task, name):
    frame = FRAMES[name].bind((640, 480))
    answer = parse_answer(text, task, frame)
    assert answer.parsed == (answer.status in (ParseStatus.OK, ParseStatus.GUESSED))
    assert bool(answer.guesses) == (answer.status is ParseStatus.GUESSED)
    if answer.well_formed:
        assert answer.parsed
    if answer.value is not None:
        assert np.isfinite(answer.value).all()
        assert answer.value.shape[-1] == (4 if task is Task.AFFORDANCE else 2)
        assert np.abs(answer.value).max() <= 2 * 640 + 1
        if task is Task.AFFORDANCE:
            assert (answer.value[:2] < answer.value[2:]).all()


@given(payload=JSONISH, task=st.sampled_from(list(Task)))
def test_the_tolerant_reading_agrees_with_the_strict_one(payload, task):
    strict = read(wrap(payload), task)
    if strict.well_formed:
        tolerant = read(f"<answer>{payload}</answer>", task)
        assert tolerant.value.tolist() == strict.value.tolist()


@given(
    points=st.lists(st.tuples(st.integers(0, 640), st.integers(0, 480)), min_size=3, max_size=10)
)
def test_both_readings_give_the_same_points(points):
    payload = json.dumps(points)
    expected = [list(map(float, point)) for point in points]
    assert read(wrap(payload), "trajectory").value.tolist() == expected
    assert read(payload, "trajectory").value.tolist() == expected


HOSTILE = {
    "nested brackets": "[" * 10**6,
    "nested brackets in an answer": "<answer>" + "[" * 10**6,
    "nested objects": '{"a":' * 200_000,
    "a million digits": "<think></think><answer>[" + "9" * 10**6 + "]</answer>",
    "digits and a letter": "<answer>[" + "9" * 10**6 + "x",
    "opening thoughts": "<think>" * 150_000,
    "empty thoughts": "<think></think>" * 70_000,
    "opening answers": "<answer>" * 120_000,
    "closing tags": "</think><answer>" * 60_000,
    "tags of other spellings": "<think>" + "[THINK]</ANSWER>" * 60_000 + "</think>",
    "quotes": "\"'" * 500_000,
    "backslashes": '"\\' * 500_000,
    "open tuples": "<answer>" + "[(1,2)," * 140_000,
    "pairs": "(1,2)," * 170_000,
    "names": "a:" * 500_000,
    "dots": "<answer>" + "1." * 500_000,
    "exponents": "<answer>" + "1e" * 500_000,
    "blanks": "<answer>[1" + " " * 10**6,
    "half tags": "<think" * 170_000,
    "point tags": '<point x="1" y="2">' * 50_000,
    "half point tags": "<points x1=" * 90_000,
    "point attributes": "<points " + 'x1="1" y1="2" ' * 70_000 + ">",
    "point digits": '<point x="' + "9" * 10**6,
    "point blanks": "<point x=" + " " * 10**6,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("task", list(Task))
def test_a_megabyte_of_hostile_text_takes_under_half_a_second(name, task):
    spent = list[float]()
    for number in range(2):  # the faster one: another process may be in the way of either
        text = HOSTILE[name] + str(number)  # the second text must not come from a cache
        start = time.process_time()
        read(text, task)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.5


@needs_real
@pytest.mark.parametrize(
    ("name", "box"),
    [("hammer", [0, 274, 522, 786]), ("knife2", [415, 3, 755, 306]), ("mug", [570, 182, 810, 630])],
)
def test_published_reasoning_texts_parse_to_their_boxes(name, box):
    text = (REAL / "affordance_r1_outputs" / f"{name}.txt").read_text()
    answer = read(text, frame=FRAMES["pixels"].bind((1024, 1024)))
    assert answer.value.tolist() == box
    assert answer.reasoning


@needs_real
@pytest.mark.parametrize("model", ["robobrain1", "robobrain2"])
def test_published_answers_parse_in_their_declared_frames(model):
    items = json.loads((REAL / model / "expected.json").read_text())["items"]
    frame = FRAMES[model].bind((640, 480))
    checked = 0
    for item in items:
        answer = item.get("prediction", item.get("answer"))
        text = answer if isinstance(answer, str) else json.dumps(answer)
        numbers = np.array(json.loads(text.replace("(", "[").replace(")", "]")), dtype=float)
        task = "affordance" if numbers.ndim == 1 else "trajectory"
        if model == "robobrain2" and numbers.max() > 640:
            continue
        value = parse_answer(text, task, frame).value
        expected = frame.decode(numbers.reshape(-1, 2)).reshape(numbers.shape)
        assert value == pytest.approx(expected)
        checked += 1
    assert checked >= 3
