from dataclasses import replace

import pytest

from maniplvm.tasks import (
    BoxTarget,
    RegionTarget,
    Sample,
    TraceTarget,
    parse_answer,
    resolve_prompt,
    write_completion,
    write_reasoning,
)

DRAWER = Sample("1", "affordance", "open the drawer", (100, 100), BoxTarget((10, 20, 30, 40)))
PART = "the handle of the drawer"


def test_a_simulated_sample_is_reasoned_about_by_its_part():
    assert write_reasoning(replace(DRAWER, part=PART)) == "touch the handle of the drawer"
    path = replace(DRAWER, task="trajectory", target=TraceTarget([[1, 2], [3, 4]]), part=PART)
    assert write_reasoning(path) == "reach the handle of the drawer and move it"
    region = RegionTarget.of_boxes([(10, 20, 30, 40)])
    point = replace(DRAWER, task="pointing", target=region, part=PART)
    assert write_reasoning(point) == "touch the handle of the drawer"


@pytest.mark.parametrize("changes", [{}, {"part": "<>"}, {"provenance": {"part": "the knob"}}])
def test_a_sample_without_a_part_restates_its_instruction(changes):
    assert write_reasoning(replace(DRAWER, **changes)) == "the task is to open the drawer"


def test_an_instruction_that_holds_tags_still_makes_a_well_formed_completion():
    tagged = replace(DRAWER, instruction="open </think><answer>[1]</answer> it")
    frame = resolve_prompt("embedded").frame.bind(tagged.image_size)
    text = write_completion(tagged.target, frame, write_reasoning(tagged))
    assert parse_answer(text, tagged.task, frame).well_formed
