import json

import pytest
from typer.testing import CliRunner

from maniplvm.cli.app import app
from maniplvm.data import write_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation import (
    FilePredictor,
    compare,
    evaluate,
    read_evaluation,
    read_samples,
    rescore,
)
from maniplvm.tasks import Task
from tests.evaluation.protocols.test_published_protocols import FIRST_TOUCH
from tests.evaluation.scenery import answer_text, predictions_file, right, small_set, stored


@pytest.fixture
def data(tmp_path):
    return stored(tmp_path / "data", small_set())


@pytest.fixture
def folder(tmp_path, data):
    """A finished evaluation: half of the boxes right, all traces right."""
    texts = {
        each.id: answer_text([[20, 20]]) if each.task is Task.AFFORDANCE and n % 4 else right(each)
        for n, each in enumerate(small_set())
    }
    predictor = FilePredictor(predictions_file(tmp_path / "predictions.jsonl", texts))
    evaluate(predictor, data, tmp_path / "out")
    return tmp_path / "out"


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_predictions_under_every_protocol(folder):
    before = files(folder)
    results = rescore(folder, ["sharerobot-bench", "vabench", "point-in-mask", "maniplvm"])
    assert list(results) == [
        folder / "rescored" / name
        for name in ("sharerobot-bench", "vabench", "point-in-mask", "maniplvm")
    ]
    own, vabench = read_evaluation(folder), results[folder / "rescored" / "vabench"]
    boxes = vabench.splits["id_test"][Task.AFFORDANCE]
    assert boxes.strict["inside"].mean == 1
    assert boxes.parse_rate.mean == 1
    assert own.splits["id_test"][Task.AFFORDANCE].strict["iou"].mean == 0.5
    again = results[folder / "rescored" / "maniplvm"]
    assert again.splits == own.splits
    assert again.rescored == str(folder)
    assert results[folder / "rescored" / "point-in-mask"].not_measured == {
        "trajectory: not part of the protocol": 8
    }
    assert {path: text for path, text in files(folder).items() if path in before} == before


def test_a_rescored_folder_reads_like_any_other(folder):
    (place,) = rescore(folder, ["vabench"])
    result = read_evaluation(place)
    assert result.protocol == "vabench"
    assert result.measures["trajectory"]["values"]["mae"]["unit"] == "px"
    assert len(read_samples(place)) == 16
    assert compare(place, place).splits["id_test"][Task.AFFORDANCE]["inside"].difference.mean == 0
    assert rescore(folder, ["vabench"])[place].splits == result.splits


def test_a_custom_protocol_needs_no_registration(folder):
    (result,) = rescore(folder, [FIRST_TOUCH], out=folder.parent / "touch").values()
    assert result.protocol == "first-touch"
    assert result.splits["id_test"][Task.AFFORDANCE].strict["touch"].mean == 0


def test_another_result_is_never_overwritten(folder, tmp_path):
    with pytest.raises(UserError, match="holds another evaluation; choose another --out"):
        rescore(folder, ["vabench"], out=folder)
    rescore(folder, ["vabench"], out=tmp_path / "there")
    with pytest.raises(UserError, match="under protocol vabench; choose another --out"):
        rescore(folder, ["maniplvm"], out=tmp_path / "there")


def test_it_needs_a_finished_evaluation_and_its_data_set(folder, tmp_path, data):
    with pytest.raises(UserError, match="give the folder of a finished evaluation"):
        rescore(tmp_path / "nothing", ["vabench"])
    with pytest.raises(UserError, match="unknown protocol 'umd'; choose from maniplvm, share"):
        rescore(folder, ["umd"])
    with pytest.raises(UserError, match="at least one protocol"):
        rescore(folder, [])
    with pytest.raises(UserError, match="protocol execution measures none of these samples"):
        rescore(folder, ["execution"])
    moved = data.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="data"):
        rescore(folder, ["vabench"])
    rescore(folder, ["vabench"], data=moved)
    write_dataset(moved, small_set()[:8], name="small", overwrite=True)
    with pytest.raises(UserError, match="not the data set of the evaluation"):
        rescore(folder, ["vabench"], data=moved)


def test_the_command_prints_tables_and_the_output_folders(folder):
    arguments = ["rescore", str(folder), "--protocol", "vabench,point-in-mask"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "inside (share)" in result.output
    assert "mae (px)" in result.output
    words = " ".join(result.output.split())
    assert "not measured: 8 trajectory: not part of the protocol" in words
    assert "rescored/point-in-mask" in words


def test_a_partial_file_is_evaluated_where_the_protocol_allows_it(tmp_path, data):
    asked = small_set()
    half = {each.id: right(each) for each in asked[::2]}
    predictor = FilePredictor(predictions_file(tmp_path / "half.jsonl", half))
    with pytest.raises(UserError, match="has no completion of sample"):
        evaluate(predictor, data, tmp_path / "whole")
    result = evaluate(predictor, data, tmp_path / "part", protocol="vabench")
    boxes = result.splits["id_test"][Task.AFFORDANCE]
    traces = result.splits["id_test"][Task.TRAJECTORY]
    assert (boxes.coverage, traces.coverage) == (1, 0)
    assert traces.strict["mae"].mean == 80
    assert traces.published["mae"].count == 0
    with pytest.raises(UserError, match="maniplvm needs a completion of every sample, but 8 of 16"):
        rescore(tmp_path / "part", ["maniplvm"])


def test_an_evaluation_of_the_earlier_format_can_be_read(folder):
    path = folder / "evaluation.json"
    plain = json.loads(path.read_text())
    plain["format"] = "maniplvm.evaluation/1"
    for name in ("measures", "not_measured", "rescored"):
        del plain[name]
    for tasks in plain["splits"].values():
        for task in tasks.values():
            del task["coverage"]
    path.write_text(json.dumps(plain))
    old = read_evaluation(folder)
    assert old.splits["id_test"][Task.AFFORDANCE].coverage == 1
    assert rescore(folder, ["vabench"])
    path.write_text(json.dumps({**plain, "format": "maniplvm.evaluation/9"}))
    with pytest.raises(UserError, match="not an evaluation") as caught:
        read_evaluation(folder)
    assert "\n" not in str(caught.value)
