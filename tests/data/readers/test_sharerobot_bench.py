import pytest

from maniplvm.data import read_records
from maniplvm.data.readers import sharerobot_bench
from maniplvm.data.record_errors import ErrorCode
from maniplvm.errors import UserError
from maniplvm.tasks.sample import BoxTarget, Task, TraceTarget
from tests.data.conftest import the_bad_record, the_sample

QUESTION = '<image>\nYou are a robot using the joint control. The task is "lift the lid".'


def turns(answer, question=QUESTION):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def record(answer="[10, 20, 30, 40]", **changes):
    values = {"id": 7, "image": "1.png", "conversations": turns(answer), **changes}
    return {k: v for k, v in values.items() if v is not ...}


def test_an_image_that_is_a_string_means_a_box(records):
    sample = the_sample(sharerobot_bench.read(records(record()), None))
    assert sample.target == BoxTarget([10, 20, 30, 40])
    assert sample.task is Task.AFFORDANCE
    assert (sample.id, sample.split) == ("sharerobot-bench-affordance-7", "test")
    assert sample.instruction == "lift the lid"
    assert sample.image_size == (64, 48)
    assert sample.provenance == {
        "format": "sharerobot-bench",
        "file": "records.json",
        "place": "record 0",
        "source_id": "7",
        "image": "1.png",
        "question": QUESTION,
        "frame": "pixels",
    }


def test_an_image_that_is_a_list_means_a_trajectory_and_later_turns_are_ignored(records):
    path = records(
        record(
            image=["1.png"],
            conversations=[*turns("[[1, 2], [30, 40], [50, 7]]"), *turns("[[0, 0], [9, 9]]")],
        )
    )
    sample = the_sample(sharerobot_bench.read(path, None))
    assert sample.target == TraceTarget([[1, 2], [30, 40], [50, 7]])
    assert sample.id == "sharerobot-bench-trajectory-7"


def test_the_frame_is_an_option(records):
    path = records(
        record("[0.25, 0.25, 0.5, 0.75]"),
        record("[[0.25, 0.25], [0.5, 0.75]]", image=["1.png"]),
    )
    box, trace = sharerobot_bench.read(path, None, frame="unit")
    assert box.target == BoxTarget([16, 12, 32, 36])
    assert trace.target == TraceTarget([[16, 12], [32, 36]])
    assert box.provenance["frame"] == "unit"


def test_an_unknown_frame_is_refused_at_the_call(tmp_path):
    with pytest.raises(UserError, match=r"unknown --frame 'cm'; choose from pixels, unit, qwen2"):
        sharerobot_bench.read(tmp_path, None, frame="cm")
    with pytest.raises(UserError, match="format jsonl has no option --frame"):
        read_records("jsonl", tmp_path, options={"frame": "unit"})


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (
            record(conversations=...),
            ErrorCode.MISSING_KEY,
            "no 'conversations'; found 'id', 'image'",
        ),
        (record(conversations="x"), ErrorCode.WRONG_TYPE, "'conversations' needs a list"),
        (record(conversations=[]), ErrorCode.BAD_VALUE, "a question and an answer, got 0"),
        (record(conversations=turns("[1]")[:1]), ErrorCode.BAD_VALUE, "and an answer, got 1"),
        (record(conversations=[1, 2]), ErrorCode.WRONG_TYPE, "a turn is an object, got int 1"),
        (record(conversations=turns("[1]")[::-1]), ErrorCode.BAD_VALUE, "a turn from 'human'"),
        (record([1, 2]), ErrorCode.WRONG_TYPE, "the 'value' of 'gpt' needs a string, got list"),
        (record(" "), ErrorCode.BAD_VALUE, "the 'value' of 'gpt' is blank"),
        (record(image=...), ErrorCode.MISSING_KEY, "no 'image'"),
        (record(image=["1.png"] * 2), ErrorCode.WRONG_TYPE, "one image, got 2"),
        (record(image=7), ErrorCode.WRONG_TYPE, "'image' needs a string"),
        (record(image="gone.png"), ErrorCode.MISSING_IMAGE, "gone.png is not a file"),
        (record(image="../1.png"), ErrorCode.ESCAPING_PATH, "'../1.png'"),
        (record("[0.1, 0.2, 0.3, 0.4]"), ErrorCode.NOT_PIXELS, "--frame unit"),
        (record("[10, 20, 30, 90]"), ErrorCode.OUTSIDE_IMAGE, "reaches (30, 90)"),
        (record("[10, 20, 30, 40]", image=["1.png"]), ErrorCode.BAD_VALUE, "one list of points"),
        (record("[[1, 2], [3, 4], [5, 6]]"), ErrorCode.BAD_VALUE, "is not a box"),
        ([1], ErrorCode.WRONG_TYPE, "a record is an object"),
    ],
)
def test_a_bad_record_is_reported_with_its_file_place_and_error_code(records, bad, code, words):
    path = records(record(id="fine"), bad)
    result = the_bad_record(sharerobot_bench.read(path, None))
    assert result.code is code
    assert words in result.detail
    assert str(result).startswith(f"{path}, record 1")


def test_an_id_used_twice_names_both_places(records):
    with pytest.raises(
        UserError, match=r"record 1 .*duplicate id: .* already the id of records.json, record 0"
    ):
        list(read_records("sharerobot-bench", records(record(), record())))
