import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import Prediction, match_predictions, read_predictions, summarise
from maniplvm.rewards import score_batch
from tests.rewards.test_scoring import BOX, TRACE, wrap


def test_a_file_is_read_line_by_line(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "text": "x"}\n\n{"id": 7, "text": "", "frame": "unit", "n": 1}\n')
    first, second = read_predictions(path)
    assert (first.id, first.text, first.frame) == ("a", "x", None)
    assert (second.id, second.frame) == ("7", "unit")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no predictions"),
        ("nope\n", "line 1: not JSON"),
        ("[" * 10**5, "line 1: not JSON"),
        ("[1]\n", "line 1: expected"),
        ('{"id": "a"}\n', "line 1: expected"),
        ('{"id": null, "text": "x"}\n', "id must be a string"),
        ('{"id": "a", "text": 5}\n', "text must be a string"),
        ('{"id": "a", "text": "x", "frame": 5}\n', "frame must be a name"),
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n', "line 2: id a is already in"),
    ],
)
def test_an_invalid_file_gives_one_clear_error(tmp_path, content, message):
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_predictions(path)


def test_a_missing_or_binary_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.jsonl: cannot be read"):
        read_predictions(tmp_path / "gone.jsonl")
    binary = tmp_path / "b.jsonl"
    binary.write_bytes(b"\xff\xff")
    with pytest.raises(UserError, match="not UTF-8"):
        read_predictions(binary)


def test_predictions_are_matched_with_their_samples(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "trace", "text": "x"}\n')
    matched = match_predictions(read_predictions(path), [BOX, TRACE], "data")
    assert matched.samples == [TRACE]
    assert matched.missing == 1
    with pytest.raises(UserError, match=r"1 of 1 predictions have an id .* such as trace"):
        match_predictions(read_predictions(path), [BOX], "data")


def test_a_summary_counts_every_failure_as_zero():
    texts = [wrap(BOX.target.xyxy), "no idea", wrap("x"), wrap(TRACE.target.points)]
    boxes, traces = summarise(score_batch(texts, [BOX, BOX, BOX, TRACE]))
    assert boxes.total.mean == pytest.approx(2 / 3)
    assert boxes.terms["iou"].mean == pytest.approx(1 / 3)
    assert boxes.parse_rate.mean == pytest.approx(1 / 3)
    assert boxes.failures == {"no_answer_tag": 1, "not_coordinates": 1}
    assert traces.total.mean == pytest.approx(5)
    assert traces.format_rate.count == 1


def test_several_draws_of_a_sample_are_numbered(tmp_path):
    first = Prediction("a", "x\u2028y", {"name": "qwen2_5_vl", "factor": 28}, 0, 7)
    second = Prediction("a", "z", draw=1)
    path = tmp_path / "predictions.jsonl"
    path.write_text(first.to_line() + second.to_line(), encoding="utf-8")
    assert read_predictions(path) == [first, second]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "text": "", "draw": -1}', "draw and tokens must be integers"),
        ('{"id": "a", "text": "", "draw": true}', "draw and tokens must be integers"),
        ('{"id": "a", "text": "", "tokens": 1.5}', "draw and tokens must be integers"),
        (
            '{"id": "a", "text": "", "draw": 1}\n{"id": "a", "text": "", "draw": 1}',
            "line 2: id a, draw 1 is already in line 1",
        ),
    ],
)
def test_bad_draws_are_named(tmp_path, line, message):
    path = tmp_path / "predictions.jsonl"
    path.write_text(line)
    with pytest.raises(UserError, match=message):
        read_predictions(path)


def test_a_lone_surrogate_of_a_completion_is_replaced_and_the_rest_is_kept(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(r'{"id": "a", "text": "[1, 2]\ud800 \ud83d\ude00 é"}' + "\n")
    (prediction,) = read_predictions(path)
    assert prediction.text == "[1, 2]\N{REPLACEMENT CHARACTER} \N{GRINNING FACE} é"
    path.write_text(prediction.to_line(), encoding="utf-8")
    assert read_predictions(path) == [prediction]
