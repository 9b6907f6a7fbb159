"""Predictions files as predictors: complete ones, and partial ones if a protocol allows them."""

import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import FilePredictor, evaluate
from maniplvm.evaluation.protocols import PROTOCOLS
from tests.evaluation.scenery import predictions_file, right, small_set, stored

PARTIAL = next(name for name, protocol in PROTOCOLS.items() if protocol.may_be_partial)


@pytest.fixture
def samples():
    return [each for each in small_set() if each.task == "affordance"]


@pytest.fixture
def data(tmp_path, samples):
    return stored(tmp_path / "data", samples)


@pytest.fixture
def half(tmp_path, samples):
    texts = {each.id: right(each) for each in samples[::2]}
    return predictions_file(tmp_path / "half.jsonl", texts)


def test_a_partial_file_is_refused_by_a_protocol_that_needs_every_answer(tmp_path, data, half):
    with pytest.raises(
        UserError, match=r"has no completion of sample .* allows partial predictions"
    ):
        evaluate(FilePredictor(half), data, tmp_path / "out", protocol="maniplvm")


def test_coverage_is_the_share_of_samples_in_a_partial_file(tmp_path, data, half):
    result = evaluate(FilePredictor(half), data, tmp_path / "out", protocol=PARTIAL)
    assert result.splits["id_test"]["affordance"].coverage == 0.5
    assert result.splits["id_test"]["affordance"].count == 8


def test_a_file_that_is_completed_later_is_resumed(tmp_path, data, half, samples):
    evaluate(FilePredictor(half), data, tmp_path / "out", protocol=PARTIAL)
    predictions_file(half, {each.id: right(each) for each in samples})
    result = evaluate(FilePredictor(half), data, tmp_path / "out", protocol="maniplvm")
    assert result.resumed == 4
    assert result.splits["id_test"]["affordance"].coverage == 1


def test_a_file_without_any_of_the_samples_is_refused(tmp_path, data):
    path = predictions_file(tmp_path / "other.jsonl", {"elsewhere": "x"})
    with pytest.raises(UserError, match="has no completion of any of the 8 samples"):
        evaluate(FilePredictor(path), data, tmp_path / "out", protocol=PARTIAL)


def test_samples_with_different_numbers_of_completions_are_refused(tmp_path, samples):
    path = predictions_file(tmp_path / "p.jsonl", {samples[0].id: ["a", "b"], samples[1].id: "a"})
    with pytest.raises(UserError, match=r"has 1 completions, others have 2"):
        FilePredictor(path)


def test_token_counts_and_finish_reasons_are_kept(tmp_path):
    from maniplvm.evaluation import Prediction, read_predictions

    prediction = Prediction("a", "x", "unit", 0, 7, 100, "length")
    path = tmp_path / "p.jsonl"
    path.write_text(prediction.to_line())
    assert read_predictions(path) == [prediction]
    path.write_text('{"id": "a", "text": "x", "prompt_tokens": "many"}')
    with pytest.raises(UserError, match="prompt_tokens must be an integer"):
        read_predictions(path)
