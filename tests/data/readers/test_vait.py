from pathlib import Path

import pytest

from maniplvm.data import import_dataset, open_dataset, read_records
from maniplvm.data.readers import vait
from maniplvm.data.readers._conversations import instruction_of
from maniplvm.data.record_errors import ErrorCode
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Task, TraceTarget
from tests.data.conftest import the_bad_record, the_sample

REAL = Path(__file__).resolve().parents[4] / "shared/data/real/vait/record_partial.txt"

QUESTION = (
    "<image>\nYou are a Franka robot using the joint control. The task is "
    '"turn the brass wheel", and the previous five (including current) steps are '
    "[[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]]. Can you predict "
    "the 2D visual trace of the end effector and the action of the next 1 step?"
)
ANSWER = (
    "The next action step: [0.1, -0.2, 0.3, -2.0, 0.4, 1.9, 0.7, 1.0]. "
    "The trajectory: [[10, 20], [14, 22], [30, 40]]"
)


def record(**changes):
    values = {
        "id": 54,
        "image": "1.png",
        "conversations": [
            {"from": "human", "value": QUESTION},
            {"from": "gpt", "value": changes.pop("answer", ANSWER)},
        ],
        **changes,
    }
    return {k: v for k, v in values.items() if v is not ...}


def test_the_trace_is_read_from_the_answer_and_the_task_from_the_question(records):
    sample = the_sample(vait.read(records(record(), name="val.json"), None))
    assert sample.target == TraceTarget([[10, 20], [14, 22], [30, 40]])
    assert sample.task is Task.TRAJECTORY
    assert sample.instruction == "turn the brass wheel"
    assert (sample.id, sample.split) == ("vait-trajectory-val-54", "val")
    assert sample.provenance == {
        "format": "vait",
        "file": "val.json",
        "place": "record 0",
        "source_id": "54",
        "image": "1.png",
        "frame": "pixels",
    }


def test_train_and_val_may_use_the_same_ids(records, tmp_path):
    for name in ("train.json", "val.json"):
        records(record(), name=name)
    import_dataset("vait", tmp_path, tmp_path / "set", images=tmp_path / "images")
    assert open_dataset(tmp_path / "set").splits == ("train", "val")


def test_the_frame_is_an_option_and_the_data_set_keeps_it(records, tmp_path):
    path = records(record(answer="The trajectory: [[0.25, 0.5], [0.5, 0.75]]"))
    with pytest.raises(UserError, match=r"target not in pixels: .* --frame unit"):
        list(read_records("vait", path))
    import_dataset("vait", path, tmp_path / "set", options={"frame": "unit"})
    dataset = open_dataset(tmp_path / "set")
    (sample,) = dataset.samples()
    assert sample.target == TraceTarget([[16, 24], [32, 36]])
    assert dataset.info.extra == {"options": {"frame": "unit"}}


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (record(answer="The next action step: [0.1, 0.2]"), ErrorCode.BAD_VALUE, "got 0"),
        (record(answer="The trajectory: [[10, 20]]"), ErrorCode.TOO_FEW_POINTS, "got 1"),
        (
            record(answer="The trajectory: [[10, 20], [99, 20]]"),
            ErrorCode.OUTSIDE_IMAGE,
            "(99, 20)",
        ),
        (record(answer="The trajectory: [[10, inf], [9, 20]]"), ErrorCode.NOT_FINITE, "non_finite"),
        (record(image=["1.png"]), ErrorCode.WRONG_TYPE, "'image' needs a string, got list"),
        (record(image="58.png"), ErrorCode.MISSING_IMAGE, "58.png is not a file"),
        (record(conversations=None), ErrorCode.MISSING_KEY, "no 'conversations'"),
    ],
)
def test_a_bad_record_is_reported_with_its_error_code(records, bad, code, words):
    path = records(record(id="fine"), bad, name="train.json")
    result = the_bad_record(vait.read(path, None))
    assert result.code is code
    assert words in result.detail
    assert str(result).startswith(f"{path}, record 1 (id 54)")


@pytest.mark.skipif(not REAL.is_file(), reason="the real record is not at hand")
def test_the_task_of_a_published_question_is_found():
    text = REAL.read_text(encoding="utf-8")
    question = text[text.index("<image>") : text.index("<<CUT")]
    assert instruction_of(question.replace("\\n", "\n")) == "sweep dirt to the tall dustpan"
