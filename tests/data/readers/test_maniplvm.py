import json

import pytest

from maniplvm.data.readers import maniplvm
from maniplvm.data.record_errors import ErrorCode
from maniplvm.tasks.sample import BoxTarget, Task, TraceTarget
from tests.data.conftest import the_bad_record, the_sample

BOX = BoxTarget([10, 20, 30, 40])
TRACE = TraceTarget([[1, 2], [30, 40], [50, 7]])


def record(solution, **changes):
    values = {"image": "1.png", "problem": "<image>lift the lid", "solution": solution, **changes}
    return {k: v for k, v in values.items() if v is not ...}


def read_one(path):
    return the_sample(maniplvm.read(path, None))


def refuse_one(path):
    return the_bad_record(maniplvm.read(path, None))


@pytest.mark.parametrize(
    ("solution", "target"),
    [
        ([10, 20, 30, 40], BOX),
        ([[10, 20, 30, 40]], BOX),
        ({"bbox_2d": [10, 20, 30, 40]}, BOX),
        ([{"bbox_2d": [10, 20, 30, 40], "label": "lid"}], BOX),
        ([[1, 2], [30, 40], [50, 7]], TRACE),
        ([{"point_2d": [1, 2]}, {"point_2d": [30, 40]}, {"point_2d": [50, 7]}], TRACE),
    ],
)
@pytest.mark.parametrize(
    "wrap", [lambda v: v, json.dumps, lambda v: f"<answer>{json.dumps(v)}</answer>\n"]
)
def test_a_solution_may_be_a_list_or_json_text(records, solution, target, wrap):
    sample = read_one(records(record(wrap(solution))))
    assert sample.target == target
    assert sample.task is (Task.AFFORDANCE if target is BOX else Task.TRAJECTORY)
    assert sample.instruction == "lift the lid"
    assert sample.id == f"maniplvm-{sample.task}-records-0"
    assert sample.provenance["image"] == "1.png"


def test_its_affordance_files_keep_the_keys_of_sharerobot(records):
    sample = read_one(
        records({"image_path": "1.png", "instruction": "lift", "affordance": [10, 20, 30, 40]})
    )
    assert sample.target == BOX
    assert sample.id == "maniplvm-affordance-records-0"
    assert sample.provenance["format"] == "maniplvm"


def test_a_list_of_one_image_is_read(records):
    sample = read_one(records(record([10, 20, 30, 40], image=["1.png"], id="k")))
    assert sample.id == "maniplvm-affordance-k"


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (record(...), ErrorCode.MISSING_KEY, "no 'solution' or 'affordance'"),
        (record([10, 20, 30, 40], problem=...), ErrorCode.MISSING_KEY, "no 'problem'"),
        (record([10, 20, 30, 40], problem="<image> "), ErrorCode.BAD_VALUE, "'problem' is blank"),
        (record([10, 20, 30, 40], image=...), ErrorCode.MISSING_KEY, "no 'image'"),
        (record([10, 20, 30, 40], image=["1.png"] * 2), ErrorCode.WRONG_TYPE, "one image, got 2"),
        (record([10, 20, 30, 40], image=[]), ErrorCode.WRONG_TYPE, "one image, got 0"),
        (record([10, 20, 30, 40], image=[3]), ErrorCode.WRONG_TYPE, "'image' needs a string"),
        (record([10, 20, 30, 40], width=65), ErrorCode.SIZE_MISMATCH, "width of 64 px"),
        (record([10, 20, 30, 40], affordance=[1]), ErrorCode.BAD_VALUE, "both 'solution' and"),
        (record("[(1, 2), (3, 4)]"), ErrorCode.NOT_JSON, "'solution' is a string but not JSON"),
        (record("__import__('os')"), ErrorCode.NOT_JSON, "not JSON"),
        (record("[" * 100_000), ErrorCode.NOT_JSON, "not JSON"),
        (record("[1, 2, NaN, 4]"), ErrorCode.NOT_FINITE, "'solution' holds float nan"),
        (record("12"), ErrorCode.WRONG_TYPE, "'solution' needs a list, got int 12"),
        (record([]), ErrorCode.TOO_FEW_POINTS, "got 0"),
        (record([[1, 2]]), ErrorCode.TOO_FEW_POINTS, "got 1"),
        (record([1, 2, 3]), ErrorCode.WRONG_TYPE, "4 numbers"),
        (record({}), ErrorCode.MISSING_KEY, "one 'bbox_2d' or several 'point_2d'; found nothing"),
        (record([{"box": 1}, {"bbox_2d": 1}]), ErrorCode.MISSING_KEY, "found 'bbox_2d', 'box'"),
        (record({"bbox_2d": 1}), ErrorCode.WRONG_TYPE, "needs a list, got int 1"),
    ],
)
def test_a_bad_record_is_reported_with_its_error_code(records, bad, code, words):
    result = refuse_one(records(bad))
    assert result.code is code
    assert words in result.detail
