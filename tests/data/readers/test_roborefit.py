import pytest

from maniplvm.data.readers import roborefit
from maniplvm.data.record_errors import ErrorCode
from maniplvm.tasks.sample import BoxTarget, Task
from tests.data.conftest import the_bad_record, the_sample


def record(**changes):
    values = {
        "problem": "<image>the blue cup at the back",
        "image": "1.png",
        "bbox": [10, 20, 30, 40],
    }
    return {k: v for k, v in {**values, **changes}.items() if v is not ...}


def original(**changes):
    return record(
        **{
            "problem": ...,
            "image": ...,
            "num": 3,
            "text": "the blue cup at the back",
            "rgb_path": "1.png",
            "depth_path": "depth/1.png",
            "mask_path": "mask/1.png",
            "scene": "desk",
            "class": "cup",
            **changes,
        }
    )


@pytest.mark.parametrize(("values", "category"), [(record(), None), (original(), "cup")])
def test_both_spellings_of_a_record_are_read(records, values, category):
    sample = the_sample(roborefit.read(records(values, name="roborefit_testA.json"), None))
    assert sample.target == BoxTarget([10, 20, 30, 40])
    assert sample.task is Task.AFFORDANCE
    assert sample.instruction == "the blue cup at the back"
    assert sample.split == "testA"
    assert sample.category == category
    assert sample.id == "roborefit-affordance-testA-roborefit_testA-0"
    assert sample.provenance["image"] == "1.png"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.jsonl", "train"),
        ("roborefit_testB.jsonl", "testB"),
        ("val_2.jsonl", "val"),
        ("latest.jsonl", "train"),
        ("contest.jsonl", "train"),
    ],
)
def test_the_split_comes_from_the_name_of_the_file(records, name, split):
    sample = the_sample(roborefit.read(records(record(id="k"), name=name), None))
    assert (sample.split, sample.id) == (split, f"roborefit-affordance-{split}-k")


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (
            record(problem=...),
            ErrorCode.MISSING_KEY,
            "no 'problem' or 'text'; found 'image', 'bbox'",
        ),
        (record(problem="<image> "), ErrorCode.BAD_VALUE, "the instruction is blank"),
        (record(text="twice"), ErrorCode.BAD_VALUE, "both 'problem' and 'text'"),
        (record(image=...), ErrorCode.MISSING_KEY, "no 'image' or 'rgb_path'"),
        (record(image=["1.png", "2.png"]), ErrorCode.WRONG_TYPE, "one image, got 2"),
        (record(bbox=...), ErrorCode.MISSING_KEY, "no 'bbox'"),
        (record(bbox="[10, 20, 30, 40]"), ErrorCode.WRONG_TYPE, "'bbox' needs a list, got str"),
        (record(bbox=[10, 20, 30]), ErrorCode.WRONG_TYPE, "4 numbers"),
        (record(bbox=[10, 20, 30, None]), ErrorCode.WRONG_TYPE, "needs numbers, got NoneType"),
        (record(bbox=[10, 20, 10, 40]), ErrorCode.EMPTY_BOX, "0 x 20 px"),
        (record(bbox=[10, 20, 30, float("nan")]), ErrorCode.NOT_FINITE, "float nan"),
        (record(bbox=[0.1, 0.2, 0.3, 0.4]), ErrorCode.NOT_PIXELS, "lies in 0..1"),
        (record(bbox=[10, 20, 300, 40]), ErrorCode.OUTSIDE_IMAGE, "reaches (300, 40)"),
        (record(width=65), ErrorCode.SIZE_MISMATCH, "width of 64 px"),
    ],
)
def test_a_bad_record_is_reported_with_its_error_code(records, bad, code, words):
    path = records(record(), bad)
    result = the_bad_record(roborefit.read(path, None))
    assert result.code is code
    assert words in result.detail
    assert str(result).startswith(f"{path}, record 1")
