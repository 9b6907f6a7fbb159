import pytest

from maniplvm.data.readers import jsonl
from maniplvm.data.record_errors import ErrorCode
from maniplvm.tasks.sample import BoxTarget, Task, TraceTarget
from tests.data.conftest import the_bad_record, the_sample


def record(**changes):
    values = {
        "id": "a-1",
        "task": "affordance",
        "instruction": "open the drawer",
        "image": "1.png",
        "box": [10, 20, 30, 40],
    }
    return {k: v for k, v in {**values, **changes}.items() if v is not ...}


def read_one(path):
    return the_sample(jsonl.read(path, None))


def test_a_record_with_every_key_is_read(records):
    sample = read_one(
        records(
            record(
                split="id_test",
                category="drawer",
                scene="kitchen 4",
                part="the handle",
                provenance={"camera": 3, "file": "theirs"},
                width=64,
                height=48,
            ),
            name="mine.jsonl",
        )
    )
    assert (sample.id, sample.task, sample.split) == ("a-1", Task.AFFORDANCE, "id_test")
    assert sample.target == BoxTarget([10, 20, 30, 40])
    assert (sample.category, sample.scene, sample.part) == ("drawer", "kitchen 4", "the handle")
    assert sample.provenance == {
        "format": "jsonl",
        "file": "mine.jsonl",
        "place": "line 1",
        "image": "1.png",
        "camera": 3,
    }


def test_optional_keys_may_be_missing(records):
    trace = [[1, 2], [30, 40]]
    sample = read_one(
        records(record(task="trajectory", box=..., trace=trace, split=None, id=7), name="m.jsonl")
    )
    assert sample.target == TraceTarget(trace)
    assert (sample.id, sample.split, sample.category) == ("7", "train", None)
    assert (sample.scene, sample.part) == ("", "")


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (record(id=...), ErrorCode.MISSING_KEY, "no 'id'; found 'task'"),
        (record(id=" "), ErrorCode.BAD_VALUE, "'id' is blank"),
        (record(task=...), ErrorCode.MISSING_KEY, "no 'task'"),
        (record(task="grasp"), ErrorCode.BAD_VALUE, "'grasp'; choose from affordance, trajectory"),
        (record(box=...), ErrorCode.MISSING_KEY, "no 'box' or 'trace'"),
        (record(task="trajectory"), ErrorCode.BAD_VALUE, "task trajectory needs the key 'trace'"),
        (record(trace=[[1, 2], [3, 4]]), ErrorCode.BAD_VALUE, "both 'box' and 'trace'"),
        (record(catgory="x"), ErrorCode.UNKNOWN_KEY, "'catgory'; valid keys are id, task, instr"),
        (record(split="a/b"), ErrorCode.BAD_VALUE, "'split' 'a/b' needs letters"),
        (record(category=3), ErrorCode.WRONG_TYPE, "'category' needs a string"),
        (record(provenance=3), ErrorCode.WRONG_TYPE, "'provenance' needs an object"),
        (record(height=49), ErrorCode.SIZE_MISMATCH, "height of 48 px, but the record states 49"),
        ([1], ErrorCode.WRONG_TYPE, "a record is an object, got list [1]"),
    ],
)
def test_a_bad_record_is_reported_with_its_error_code(records, bad, code, words):
    path = records(record(id="fine"), bad, name="mine.jsonl")
    result = the_bad_record(jsonl.read(path, None))
    assert result.code is code
    assert words in result.detail
    assert f"{path}, line 2" in str(result)
