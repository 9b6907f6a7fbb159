"""A small `make quickstart`: the shipped model, real GRPO steps, evaluation and report."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from maniplvm.evaluation import read_evaluation
from maniplvm.experiments import EVALUATED, Folders, headline_results, quickstart_stages
from maniplvm.tasks import Task

ROOT = Path(__file__).parents[2]
SMALL = (
    "trainer.max_steps=3",
    "trainer.per_device_train_batch_size=32",
    "monitor.samples_every=2",
    "monitor.samples=4",
)


def quickstart(folder, *more):
    changes = [word for change in SMALL for word in ("--set", change)]
    return subprocess.run(
        [sys.executable, "-m", "maniplvm", "quickstart", "--out", str(folder)]
        + ["--limit", "6", *changes, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart") / "run"
    run = quickstart(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder, run.stdout


@pytest.mark.sim
def test_it_evaluates_trains_evaluates_again_and_prints_the_differences(finished):
    folder, printed = finished
    for split in EVALUATED:
        assert split in printed
    results = json.loads((folder / "quickstart.json").read_text())
    assert set(results) == {*EVALUATED, "adapt_test (sampled)"}
    assert results["adapt_test"]["iou"]["difference"]["count"] == 6
    log = [json.loads(line) for line in (folder / "grpo" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3]
    assert all(line["grad_norm"] > 0 for line in log)


@pytest.mark.sim
def test_answers_of_the_shipped_model_parse_and_training_changes_the_weights(finished):
    folder, _ = finished
    before = read_evaluation(Folders(folder).evaluation("before"))
    known = before.splits["id_test"]
    assert known[Task.AFFORDANCE].parse_rate.mean == 1
    assert known[Task.AFFORDANCE].strict["iou"].mean > 0.3
    assert known[Task.TRAJECTORY].execution is not None
    shipped = (ROOT / "src/maniplvm/embedded/checkpoint/model.safetensors").read_bytes()
    assert (folder / "grpo" / "model" / "model.safetensors").read_bytes() != shipped


@pytest.mark.sim
def test_the_report_is_one_page_with_both_evaluations(finished):
    folder, _ = finished
    page = Folders(folder).report.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "adapt_test" in page
    assert (folder / "grpo" / "completions" / "step-000002.jpg").stat().st_size > 0


@pytest.mark.sim
def test_a_rerun_only_prints_the_results(finished):
    folder, printed = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    again = quickstart(folder)
    assert again.returncode == 0
    assert "$ maniplvm" not in again.stdout
    assert "adapt_test" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before
    assert "$ maniplvm train grpo" in printed


@pytest.mark.sim
def test_another_seed_in_the_same_folder_is_a_one_line_error(finished):
    folder, _ = finished
    other = quickstart(folder, "--seed", "1")
    assert other.returncode == 2
    assert "holds another experiment" in other.stderr
    assert len(other.stderr.strip().splitlines()) == 1


def test_outside_of_a_clone_it_is_a_one_line_error(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "maniplvm", "quickstart"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "run this in a clone of the repository" in run.stderr


def test_the_control_gets_the_same_start_seed_and_time(tmp_path):
    stages = quickstart_stages(
        tmp_path, seed=4, model="mine", control="sft.yaml", control_minutes=2.5
    )
    (sft,) = (stage for stage in stages if stage.name == "sft")
    interpolations = [stage.arguments for stage in stages if stage.name.startswith("interpolate-")]
    assert [words[:2] for words in interpolations] == [("interpolate", "mine")] * 2
    assert len({words[words.index("--alpha") + 1] for words in interpolations}) == 1
    assert {"seed=4", "model.source=mine", "time_limit_minutes=2.50"} <= set(sft.arguments)
    assert stages[-1].name == "report-with-control"
    assert len({stage.name for stage in stages}) == len(stages)


def test_results_of_an_unfinished_quickstart_are_a_one_line_error(tmp_path):
    from maniplvm.errors import UserError

    with pytest.raises(UserError):
        headline_results(tmp_path)
