from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.errors import UserError
from maniplvm.geometry.frames import FRAMES
from maniplvm.tasks import (
    PROMPTS,
    BoxTarget,
    RegionTarget,
    Task,
    TraceTarget,
    answerable_trace,
    parse_answer,
    resolve_prompt,
    write_answer,
    write_completion,
)
from tests.strategies import SIZE


@pytest.mark.parametrize("family", PROMPTS)
@pytest.mark.parametrize("task", list(Task))
def test_every_family_has_a_prompt_for_every_task_in_its_frame(family, task):
    frame = FRAMES[family].bind((640, 480))
    prompt = PROMPTS[family].format(" open the {drawer} ", task, frame)
    assert "open the {drawer}" in prompt
    assert PROMPTS[family].frame is FRAMES[family]


def test_the_prompt_states_the_range_and_the_axis_order():
    resized = PROMPTS["qwen2_5_vl"].format("x", "affordance", FRAMES["qwen2_5_vl"].bind((640, 480)))
    assert "x from 0 to 644, y from 0 to 476" in resized
    assert "[x1, y1, x2, y2]" in resized
    swapped = PROMPTS["gemini_er"].format("x", "trajectory", FRAMES["gemini_er"].bind((640, 480)))
    assert "y first" in swapped
    assert "[[y, x], [y, x], ...]" in swapped
    unit = PROMPTS["robopoint"].format("x", "trajectory", FRAMES["robopoint"].bind((640, 480)))
    assert "decimal numbers" in unit


@pytest.mark.parametrize("family", FRAMES)
@given(
    size=SIZE, corner=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)), side=st.floats(0.001, 0.1)
)
def test_a_written_box_is_well_formed_and_parses_to_the_target(family, size, corner, side):
    frame = FRAMES[family].bind(size)
    x, y = corner[0] * size[0], corner[1] * size[1]
    target = BoxTarget([x, y, x + side * size[0], y + side * size[1]])
    answer = parse_answer(write_completion(target, frame, "the handle"), "affordance", frame)
    assert answer.well_formed
    error = abs(answer.value - target.xyxy).reshape(2, 2).max(axis=0)
    assert (error <= [1.01 * step for step in frame.quantum]).all()


@pytest.mark.parametrize("family", FRAMES)
def test_a_written_trace_is_well_formed_and_parses_to_the_target(family):
    frame = FRAMES[family].bind((640, 480))
    target = TraceTarget([[10.4, 20.6], [300, 200], [640, 480]])
    answer = parse_answer(write_completion(target, frame, "lift"), "trajectory", frame)
    assert answer.well_formed
    assert (abs(answer.value - target.points).max(axis=0) <= frame.quantum).all()


@pytest.mark.parametrize("family", FRAMES)
def test_a_region_is_written_as_a_point_inside_it(family):
    frame = FRAMES[family].bind((640, 480))
    target = RegionTarget(
        [[[100, 100], [300, 100], [300, 140], [140, 140], [140, 300], [100, 300]]]
    )
    answer = parse_answer(write_completion(target, frame, "the rim"), "pointing", frame)
    assert answer.well_formed
    assert len(answer.value) == 1
    assert target.contains(answer.value).all()


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        ("qwen2_5_vl", '[{"point_2d": [x, y]}, {"point_2d": [x, y]}, ...]'),
        ("qwen3_vl", '[{"point_2d": [x, y]}, {"point_2d": [x, y]}, ...]'),
        ("gemini_er", '[{"point": [y, x]}, {"point": [y, x]}, ...]'),
        ("robopoint", "[[x, y], [x, y], ...]"),
    ],
)
def test_the_prompt_asks_for_points_in_the_format_of_the_family(family, shape):
    asked = PROMPTS[family].format("hold it", "pointing", FRAMES[family].bind((640, 480)))
    assert f"<answer>{shape}</answer>" in asked


def test_integers_are_written_without_a_decimal_point():
    frame = FRAMES["qwen3_vl"].bind((500, 500))
    assert write_answer(BoxTarget([10, 20, 30, 40]), frame) == "[20, 40, 60, 80]"
    unit = FRAMES["unit"].bind((500, 500))
    assert write_answer(TraceTarget([[10, 20], [30, 40]]), unit) == "[[0.02, 0.04], [0.06, 0.08]]"


def test_a_box_thinner_than_a_step_stays_a_box():
    frame = FRAMES["embedded"].bind((990, 990))
    assert write_answer(BoxTarget([101, 101, 102, 102]), frame) == "[10, 10, 11, 11]"
    assert write_answer(BoxTarget([988, 988, 990, 990]), frame) == "[98, 98, 99, 99]"


def test_reasoning_with_tags_is_an_error():
    with pytest.raises(ValueError, match="tags"):
        write_completion(BoxTarget([1, 2, 3, 4]), FRAMES["pixels"].bind((9, 9)), "</think>")


def test_a_long_trace_keeps_its_ends_and_its_bends():
    bends = [[0, 0], [40, 5], [50, 60], [90, 20], [100, 80]]
    resting = [[0, 0]] * 20
    dense = [np.linspace(a, b, 10, endpoint=False) for a, b in pairwise(bends)]
    short = answerable_trace(TraceTarget(np.vstack([resting, *dense, bends[-1:]])))
    assert len(short.points) <= 10
    assert set(map(tuple, bends)) <= set(map(tuple, short.points.tolist()))
    assert answerable_trace(short) is short


def test_a_straight_or_short_trace_gets_enough_points_for_an_answer():
    straight = answerable_trace(TraceTarget([[i, i] for i in range(25)])).points
    assert straight.tolist() == [[0, 0], [12, 12], [24, 24]]
    assert answerable_trace(TraceTarget([[0, 0], [8, 4]])).points.tolist() == [
        [0, 0],
        [4, 2],
        [8, 4],
    ]


def test_a_recipe_may_set_its_own_template():
    style = resolve_prompt("qwen3_vl", {"affordance": "Where? {instruction} {{json}}"})
    frame = FRAMES["qwen3_vl"].bind((640, 480))
    assert style.format("open it", "affordance", frame) == "Where? open it {json}"
    assert style.trajectory == PROMPTS["qwen3_vl"].trajectory


@pytest.mark.parametrize(
    ("family", "templates", "message"),
    [
        ("qwen", {}, "unknown model family 'qwen'; choose from pixels"),
        ("unit", {"grasp": "x"}, "unknown task grasp; choose from affordance, trajectory"),
        ("unit", {"affordance": "{instruction} {size}"}, "unknown placeholder size; choose from"),
        ("unit", {"affordance": "{instruction} {"}, "bad template"),
        ("unit", {"affordance": "hello"}, r"must name \{instruction\}"),
    ],
)
def test_an_invalid_template_is_a_user_error(family, templates, message):
    with pytest.raises(UserError, match=message):
        resolve_prompt(family, templates)
