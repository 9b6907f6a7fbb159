import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from maniplvm.data import open_dataset, write_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation import (
    ExecutionOptions,
    FilePredictor,
    Selection,
    evaluate,
    read_evaluation,
    read_samples,
)
from maniplvm.files import locked
from maniplvm.simulation.provenance import Provenance
from maniplvm.tasks import Task
from tests.evaluation.scenery import Counting, predictions_file, right, small_set, stored

SHIPPED = Path(__file__).parents[2] / "datasets" / "sim-small"

needs_sim = pytest.mark.skipif(
    importlib.util.find_spec("metaworld") is None, reason="needs the sim extra"
)


@pytest.fixture
def data(tmp_path):
    return stored(tmp_path / "data", small_set())


def test_everything_is_written_and_read_back(tmp_path, data):
    predictor = Counting()
    result = evaluate(predictor, data, tmp_path / "out", command=["maniplvm", "evaluate"])
    boxes = result.splits["id_test"][Task.AFFORDANCE]
    assert (boxes.count, boxes.scenes, boxes.strict["iou"].mean) == (8, 4, 1)
    assert result.splits["id_test"][Task.TRAJECTORY].strict["dfd"].mean == 0
    assert result.command == ("maniplvm", "evaluate")
    assert result.peak_rss_mb > 1
    assert read_evaluation(tmp_path / "out").to_json() == result.to_json()
    plain = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert plain["format"] == "maniplvm.evaluation/2"
    assert set(plain["splits"]["id_test"]["affordance"]["strict"]["iou"]) == {
        "mean",
        "low",
        "high",
        "count",
    }


def test_every_completion_has_a_line_with_the_agreed_keys(tmp_path, data):
    evaluate(Counting(), data, tmp_path / "out")
    lines = (tmp_path / "out" / "samples.jsonl").read_text().splitlines()
    box, trace = json.loads(lines[0]), json.loads(lines[1])
    shared = {
        *("id", "draw", "split", "task", "category", "scene", "instruction", "text", "parsed"),
        *("well_formed", "status", "answer", "target", "image_size", "reward", "terms", "tokens"),
        "execution",
    }
    assert shared | {"iou"} <= set(box)
    assert shared | {"dfd", "hd", "rmse", "avg", "end"} <= set(trace)
    assert box["answer"] == box["target"] == [10, 10, 30, 30]
    assert box["scene"] == "w/open/0"
    restored = read_samples(tmp_path / "out")
    assert [json.loads(each.to_line()) for each in restored] == [json.loads(n) for n in lines]


def test_a_finished_evaluation_makes_no_predictions(tmp_path, data):
    first = evaluate(Counting(), data, tmp_path / "out")
    again = Counting()
    calls = []
    result = evaluate(again, data, tmp_path / "out", progress=lambda *stage: calls.append(stage))
    assert result == first
    assert not again.asked
    assert not calls


def test_an_interrupted_evaluation_resumes_with_the_missing_samples(tmp_path, data):
    with pytest.raises(KeyboardInterrupt):
        evaluate(Counting(stop_after=5), data, tmp_path / "out")
    path = tmp_path / "out" / "predictions.jsonl"
    path.write_text(path.read_text() + '{"id": "id_test/clo')  # a crash in the middle of a line
    rest = Counting()
    result = evaluate(rest, data, tmp_path / "out")
    assert len(rest.asked) == 16 - 5
    assert result.resumed == 5
    whole = evaluate(Counting(), data, tmp_path / "whole")
    assert result.splits == whole.splits
    samples = [(tmp_path / name / "samples.jsonl").read_bytes() for name in ("out", "whole")]
    assert samples[0] == samples[1]


def test_other_scoring_settings_make_no_new_predictions(tmp_path, data):
    evaluate(Counting(), data, tmp_path / "out")
    again = Counting()
    result = evaluate(again, data, tmp_path / "out", preset="dense")
    assert not again.asked
    assert result.preset == "dense"
    assert result.splits["id_test"][Task.AFFORDANCE].reward["total"].mean == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictor": Counting(settings={"temperature": 1})}, "decoding.temperature was 0, now 1"),
        ({"selection": Selection(task="affordance")}, 'selection.task was null, now "affordance"'),
        ({"selection": Selection(limit=4)}, "selection.limit was null, now 4"),
        ({"wrong_instruction": 3}, "wrong_instruction was null, now 3"),
    ],
)
def test_another_evaluation_in_the_folder_is_refused(tmp_path, data, change, message):
    evaluate(Counting(), data, tmp_path / "out")
    with pytest.raises(UserError, match=f"holds another evaluation: {message}"):
        evaluate(**{"predictor": Counting(), "data": data, "out": tmp_path / "out", **change})


def test_another_model_in_the_folder_is_refused(tmp_path, data):
    evaluate(Counting(), data, tmp_path / "out")
    other = Counting()
    other.name = "other"
    with pytest.raises(UserError, match='model was "counting", now "other"'):
        evaluate(other, data, tmp_path / "out")


def test_changed_data_are_noticed(tmp_path, data):
    evaluate(Counting(), data, tmp_path / "out")
    write_dataset(tmp_path / "more", small_set(scenes=3), name="small")
    with pytest.raises(UserError, match='data was "small '):
        evaluate(Counting(), tmp_path / "more", tmp_path / "out")


def test_predictions_without_settings_are_not_resumed(tmp_path, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.jsonl").write_text("")
    with pytest.raises(UserError, match=r"but no settings\.json"):
        evaluate(Counting(), data, tmp_path / "out")


def test_damaged_settings_are_one_clear_line(tmp_path, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_text("{")
    with pytest.raises(UserError, match="not the settings of an evaluation"):
        evaluate(Counting(), data, tmp_path / "out")


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(splits=("ood",)), "has no split 'ood'; choose from id_test"),
        (Selection(task="grasp"), "unknown task 'grasp'"),
        (Selection(limit=1), "no sample is selected"),  # a scene has two views
    ],
)
def test_a_bad_selection_is_one_clear_line(tmp_path, data, selection, message):
    with pytest.raises(UserError, match=message):
        evaluate(Counting(), data, tmp_path / "out", selection=selection)
    assert not (tmp_path / "out").exists()


def test_only_selected_samples_are_predicted(tmp_path):
    data = stored(tmp_path / "data", small_set(splits=("id_test", "ood_tasks"), scenes=5))
    selection = Selection(splits=("ood_tasks", "ood_tasks"), task="affordance", limit=5)
    predictor = Counting()
    evaluate(predictor, data, tmp_path / "out", selection=selection)
    assert {(s.split, s.task) for s in predictor.asked} == {("ood_tasks", Task.AFFORDANCE)}
    assert sorted(s.category for s in predictor.asked) == ["close", "close", "open", "open"]


def test_a_wrong_instruction_is_used_and_the_original_target_is_scored(tmp_path, data):
    predictor = Counting()
    result = evaluate(predictor, data, tmp_path / "out", wrong_instruction=0)
    assert result.wrong_instruction == 0
    for asked, scored in zip(predictor.asked, read_samples(tmp_path / "out"), strict=True):
        assert asked.category not in asked.instruction
        assert scored.category in scored.instruction
        assert scored.asked == asked.instruction


def test_a_predictor_that_skips_samples_is_an_error(tmp_path, data):
    class Lazy(Counting):
        def predict(self, samples):
            return iter(list(super().predict(samples))[:-1])

    with pytest.raises(ValueError, match="returned 15 of 16 completions"):
        evaluate(Lazy(), data, tmp_path / "out")


def test_a_predictor_that_returns_other_samples_is_an_error(tmp_path, data):
    class Eager(Counting):
        def predict(self, samples):
            return (replace(prediction, id="?") for prediction in super().predict(samples))

    with pytest.raises(ValueError, match="which was not requested"):
        evaluate(Eager(), data, tmp_path / "out")


def test_a_file_of_predictions_is_evaluated_like_a_model(tmp_path, data):
    samples = list(open_dataset(data).samples())
    path = predictions_file(tmp_path / "p.jsonl", {s.id: [right(s), "?"] for s in samples})
    result = evaluate(FilePredictor(path), data, tmp_path / "out")
    boxes = result.splits["id_test"][Task.AFFORDANCE]
    assert (boxes.count, boxes.strict["iou"].mean) == (16, 0.5)
    assert result.model == f"predictions:{path}"


def test_a_file_without_a_completion_of_a_sample_is_refused(tmp_path, data):
    samples = list(open_dataset(data).samples())
    path = predictions_file(tmp_path / "p.jsonl", {s.id: right(s) for s in samples[:-1]})
    with pytest.raises(UserError, match=f"has no completion of sample {samples[-1].id}"):
        evaluate(FilePredictor(path), data, tmp_path / "out")


def test_a_file_with_draws_for_some_samples_only_is_refused(tmp_path):
    path = predictions_file(tmp_path / "p.jsonl", {"a": ["1", "2"], "b": "3"})
    with pytest.raises(UserError, match="b has 1 completions, others have 2"):
        FilePredictor(path)


@pytest.mark.sim
@needs_sim
def test_simulated_traces_are_executed_once(tmp_path):
    from maniplvm.simulation.worlds import load_world
    from tests.cli.images import png
    from tests.simulation.execution.conftest import demonstrated_sample

    made = demonstrated_sample(load_world("metaworld"), "button-press-topdown-v3", 0)
    trace = replace(made, id="press", image=png(192, 192))
    unreliable = replace(
        trace, id="soccer", provenance={**trace.provenance, "task": "soccer-v3"}, category="soccer"
    )
    data = stored(tmp_path / "data", [trace, replace(trace, id="again"), unreliable])
    path = predictions_file(
        tmp_path / "p.jsonl", {"press": right(trace), "again": "?", "soccer": "?"}
    )
    calls = []
    result = evaluate(
        FilePredictor(path),
        data,
        tmp_path / "out",
        execution=ExecutionOptions(workers=1),
        progress=lambda *stage: calls.append(stage),
    )
    (split,) = result.splits.values()
    assert (split[Task.TRAJECTORY].execution.mean, split[Task.TRAJECTORY].execution.count) == (
        0.5,
        2,
    )
    assert ("executing", 2, 2) in calls
    outcomes = {s.id: s.execution for s in read_samples(tmp_path / "out")}
    assert outcomes["press"].success
    assert outcomes["again"].reason == "invalid"
    assert outcomes["soccer"] is None  # the verifier cannot judge this task
    calls.clear()
    evaluate(
        FilePredictor(path),
        data,
        tmp_path / "out",
        preset="dense",
        execution=ExecutionOptions(workers=1),
        progress=lambda *stage: calls.append(stage),
    )
    assert ("executing", 2, 2) in calls  # nothing was left to follow
    assert ("executing", 0, 2) not in calls


def test_without_a_simulator_one_line_names_the_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    record = dict.fromkeys(Provenance.__dataclass_fields__, "")
    samples = [replace(each, provenance=record) for each in small_set()]
    data = stored(tmp_path / "data", samples)
    predictor = Counting()
    with pytest.raises(UserError, match=r"pip install \"maniplvm\[sim\]\""):
        evaluate(predictor, data, tmp_path / "out", execution=ExecutionOptions())
    assert not predictor.asked
    assert evaluate(predictor, data, tmp_path / "out").splits


def test_data_that_are_not_simulated_need_no_simulator(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    samples = [replace(each, scene="") for each in small_set()]
    data = stored(tmp_path / "data", samples)
    result = evaluate(Counting(), data, tmp_path / "out", execution=ExecutionOptions())
    assert result.splits["id_test"][Task.TRAJECTORY].execution is None
    assert result.splits["id_test"][Task.AFFORDANCE].scenes == 8


def test_importing_evaluation_imports_nothing_heavy():
    code = (
        "import sys, maniplvm.evaluation; "
        "print([m for m in ('torch', 'transformers', 'mujoco', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_execution_includes_only_the_given_splits():
    samples = list(open_dataset(SHIPPED).samples(images=False, task="trajectory"))
    everywhere, one = ExecutionOptions(), ExecutionOptions(splits=("adapt_test",))
    assert {sample.split for sample in samples if everywhere.includes(sample)} > {"adapt_test"}
    assert {sample.split for sample in samples if one.includes(sample)} == {"adapt_test"}


@pytest.mark.parametrize("name", ["evaluation.json", "samples.jsonl", "predictions.jsonl"])
def test_a_finished_evaluation_with_a_cut_file_is_completed_again(tmp_path, data, name):
    out = tmp_path / "out"
    evaluate(Counting(), data, out)
    path = out / name
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    again = Counting()
    result = evaluate(again, data, out)
    assert len(again.asked) == (8 if name == "predictions.jsonl" else 0)
    assert result.splits["id_test"][Task.AFFORDANCE].count == 8
    if name != "evaluation.json":  # it holds times
        assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())
    assert len(read_samples(out)) == 16


def test_missing_samples_are_named_by_those_who_read_them(tmp_path, data):
    out = tmp_path / "out"
    evaluate(Counting(), data, out)
    path = out / "samples.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    with pytest.raises(UserError, match=r"samples.jsonl: has 5 of 16 samples"):
        read_samples(out)


def test_two_processes_do_not_evaluate_into_one_folder(tmp_path, data):
    out = tmp_path / "out"
    out.mkdir()
    with locked(out), pytest.raises(UserError, match="another process writes to it"):
        evaluate(Counting(), data, out)
    assert evaluate(Counting(), data, out).resumed == 0
