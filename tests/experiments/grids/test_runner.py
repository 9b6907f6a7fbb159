"""A complete grid with fake commands: runs, resumes, lists and results files."""

import fcntl
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import evaluate
from maniplvm.experiments import (
    check_results,
    forecast,
    read_grid,
    read_records,
    run_grid,
    runs_of,
    thinned,
    write_evidence,
)
from maniplvm.experiments.grids import runner as grid_running
from maniplvm.training import read_recipe
from maniplvm.training.loop.run_folder import RunFolder
from tests.evaluation.scenery import Counting, answer_text, right, small_set, stored
from tests.experiments.grids.test_grid import GRPO, SFT, TRAINER

SPLIT = "id_test"


def grid_file(folder, data):
    (folder / "grid.yaml").write_text(
        f"""
name: small
data: {data}
seeds: [0, 1]
base: base
evaluate: {{splits: [{SPLIT}], execute: [], sampled: [{SPLIT}], pages: false}}
costs: {{grpo_step: 6, sft_step: 1, evaluation: 60}}
arms:
  base: {{about: as it is}}
  good: {{method: grpo, recipe: {GRPO}, tier: main, set: {{trainer.max_steps: 10}}}}
  same: {{method: sft, recipe: {SFT}, tier: main, budget: {{minutes_of: good}}}}
pairs: [[same, good]]
"""
    )
    return read_grid(folder / "grid.yaml")


class Commands:
    """Replaces `maniplvm`: training writes a record, and evaluation uses fixed answers."""

    def __init__(self):
        self.run, self.fail, self.seconds = [], "", 200.0

    def __call__(self, stage, log, lock, processes, environment):
        words = list(stage.arguments)
        out = Path(words[words.index("--out") + 1])
        self.run.append((words[0], out))
        assert environment["OMP_NUM_THREADS"]
        log.write("working\n")
        if self.fail and self.fail in str(out):
            return 3
        if words[0] == "train":
            self._train(words, out)
        else:
            good = "good" in str(out)
            text = (
                right
                if good
                else lambda s: answer_text(
                    [1, 1, 9, 9] if "aff" in s.id else [[1, 1], [2, 2], [3, 3]]
                )
            )
            evaluate(Counting(text), words[words.index("--data") + 1], out)
        return 0

    def _train(self, words, out):
        changes = [value for key, value in pairwise(words) if key == "--set"]
        RunFolder(out).claim(read_recipe(words[2], changes))
        lines = [
            {"step": n, "seconds": 2.0 * n, "reward": n / 100, "other": 1} for n in range(1, 101)
        ]
        (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        content = {"format": "maniplvm.run/1", "method": words[1], "finished": True, "steps": 100}
        content |= {"wall_seconds": self.seconds, "recipe": {"trainer": TRAINER}, "samples": 50}
        (out / "run.json").write_text(json.dumps(content))


@pytest.fixture
def commands(monkeypatch):
    commands = Commands()
    monkeypatch.setattr(grid_running, "_status_of", commands)
    return commands


@pytest.fixture
def grid(tmp_path):
    return grid_file(tmp_path, stored(tmp_path / "data", small_set()))


def test_every_stage_runs_once_and_results_are_written(grid, commands, tmp_path):
    work = tmp_path / "work"
    runs = runs_of(grid, work)
    run_grid(grid, work, runs, 2)
    assert len(commands.run) == len(set(commands.run)) == 1 + 2 + 4 * 3
    assert "working" in (work / "good" / "seed-1" / "output.log").read_text()
    run_grid(grid, work, runs, 2)
    assert len(commands.run) == 15
    written = list(write_evidence(grid, work, tmp_path / "results"))
    assert [path.name for path in written] == ["small.json", "main.json"]
    content = json.loads(written[1].read_text())
    assert content["command"] == f"maniplvm experiment {grid.where} --only main"
    assert content["unfinished"] == []
    good = content["arms"]["good"]
    box = good["splits"][SPLIT]["affordance"]
    assert box["iou"]["mean"] == 1
    assert box["seeds"]["iou"] == [1, 1]
    assert good["cost"]["wall_seconds"] == [200, 200]
    assert good["cost"]["samples_seen"] == [1600, 1600]
    change = good["against_base"][f"{SPLIT}_sampled"]["affordance"]["iou"]
    assert change["difference"]["low"] > 0.5
    assert len(change["seeds"]) == 2
    assert content["pairs"][0]["splits"][SPLIT]["trajectory"]["dfd"]["difference"]["high"] < 0
    points = good["curves"][0]["points"]
    assert len(points) <= 40
    assert points[-1]["samples"] == 1600
    assert "other" not in points[0]


def test_a_finished_run_of_other_settings_is_refused(grid, commands, tmp_path):
    work = tmp_path / "work"
    run_grid(grid, work, runs_of(grid, work), 1)
    file = Path(grid.where)
    file.write_text(file.read_text().replace("trainer.max_steps: 10", "trainer.max_steps: 11"))
    changed = read_grid(file)
    message = r"good.seed-0: holds another experiment \(train was .*=10.* now .*=11.*; remove that"
    for use in (
        lambda: run_grid(changed, work, runs_of(changed, work), 1),
        lambda: forecast(changed, work, runs_of(changed, work)),
        lambda: write_evidence(changed, work, tmp_path / "results"),
    ):
        with pytest.raises(UserError, match=message):
            use()
    before = len(commands.run)
    for seed in (0, 1):
        shutil.rmtree(work / "good" / f"seed-{seed}")
    run_grid(changed, work, runs_of(changed, work, ["good"]), 1)
    assert len(commands.run) == before + 2 * 3


def test_a_finished_run_of_another_recipe_is_refused(commands, tmp_path):
    data = stored(tmp_path / "data", small_set())
    recipe = tmp_path / "grpo.yaml"
    recipe.write_text(Path(GRPO).read_text())
    file = tmp_path / "grid.yaml"
    grid_file(tmp_path, data)
    file.write_text(file.read_text().replace(str(GRPO), str(recipe)))
    grid, work = read_grid(file), tmp_path / "work"
    run_grid(grid, work, runs_of(grid, work), 1)
    text = recipe.read_text()
    assert "learning_rate:" in text
    recipe.write_text(re.sub(r"learning_rate: \S+", "learning_rate: 0.5", text))
    with pytest.raises(UserError, match=r"good.seed-0.run: holds a run of another recipe .*learn"):
        run_grid(grid, work, runs_of(grid, work), 1)


def test_a_selected_seed_limits_the_trainings(grid, commands, tmp_path):
    work = tmp_path / "work"
    runs = runs_of(grid, work, seeds=[1])
    assert [run.name for run in runs] == ["base", "good seed 1", "same seed 1"]
    run_grid(grid, work, runs, 2)
    path = list(write_evidence(grid, work, tmp_path / "results"))[1]
    content = json.loads(path.read_text())
    assert content["unfinished"] == ["good", "same"]
    assert content["arms"]["good"]["seeds"] == [1]
    with pytest.raises(UserError, match=r"no seed 7; choose from \[0, 1\]"):
        runs_of(grid, work, seeds=[7])


def written_elsewhere(grid, tmp_path, seeds=()):
    """The results file of the tier from runs in another folder, and its content."""
    there, path = tmp_path / "there", tmp_path / "results" / "main.json"
    run_grid(grid, there, runs_of(grid, there, seeds=seeds), 1)
    write_evidence(grid, there, path.parent)
    return path, json.loads(path.read_text())


def test_results_of_runs_on_another_machine_are_kept(grid, commands, tmp_path):
    path, whole = written_elsewhere(grid, tmp_path)
    results, here = path.parent, tmp_path / "here"

    run_grid(grid, here, runs_of(grid, here, ["good"], seeds=[1]), 1)
    assert write_evidence(grid, here, results)[path] == ["good", "same"]
    assert json.loads(path.read_text()) == whole
    run_grid(grid, here, runs_of(grid, here, ["good"]), 1)
    assert write_evidence(grid, here, results)[path] == ["same"]
    content = json.loads(path.read_text())
    assert content["pairs"] == whole["pairs"]
    assert content["unfinished"] == []
    assert "here" in content["arms"]["good"]["commands"][0]
    assert "there" in content["arms"]["same"]["commands"][0]


def test_a_rerun_does_not_replace_the_first_run(grid, commands, tmp_path):
    path, first = written_elsewhere(grid, tmp_path, seeds=[0])
    results, here = path.parent, tmp_path / "here"
    commands.seconds = 300.0
    run_grid(grid, here, runs_of(grid, here, seeds=[0]), 1)
    assert write_evidence(grid, here, results)[path] == ["good", "same"]
    assert json.loads(path.read_text()) == first
    run_grid(grid, here, runs_of(grid, here), 1)
    assert write_evidence(grid, here, results)[path] == []
    content = json.loads(path.read_text())
    assert content["arms"]["same"]["cost"]["wall_seconds"] == [300, 300]
    assert content["pairs"] != first["pairs"]


def test_kept_results_store_their_versions_and_need_the_same_settings(grid, commands, tmp_path):
    path, older = written_elsewhere(grid, tmp_path)
    results, here = path.parent, tmp_path / "here"
    older["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(older))

    run_grid(grid, here, runs_of(grid, here, ["good"]), 1)
    assert write_evidence(grid, here, results)[path] == ["same"]
    content = json.loads(path.read_text())
    assert content["versions"]["torch"] != "1.0"
    assert content["arms"]["same"]["versions"]["torch"] == "1.0"
    assert "versions" not in content["arms"]["good"]
    file = Path(grid.where)
    file.write_text(file.read_text().replace("minutes_of: good", "samples_of: good"))
    changed = read_grid(file)
    assert write_evidence(changed, here, results)[path] == []
    content = json.loads(path.read_text())
    assert list(content["arms"]) == ["good"]
    assert content["pairs"] == []
    assert content["unfinished"] == ["same"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"format": "other"}', '{"format": "maniplvm.evidence/1", "experiment": "other"}'],
)
def test_another_file_is_never_overwritten(text, grid, commands, tmp_path):
    work, results = tmp_path / "work", tmp_path / "results"
    run_grid(grid, work, runs_of(grid, work, ["good"], seeds=[0]), 1)
    check_results(grid, results)
    results.mkdir()
    (results / "main.json").write_text(text)
    for use in (
        lambda: check_results(grid, results),
        lambda: write_evidence(grid, work, results),
    ):
        with pytest.raises(UserError, match=r"main.json: .*; remove it, or choose another --res"):
            use()
    assert (results / "main.json").read_text() == text


def test_a_failed_run_stops_only_runs_that_need_it_and_is_rerun(grid, commands, tmp_path):
    work = tmp_path / "work"
    runs = runs_of(grid, work)
    commands.fail = "good/seed-0/run"
    with pytest.raises(UserError, match=r"1 runs failed: good seed 0 .*1 runs need them"):
        run_grid(grid, work, runs, 1)
    assert read_records(work / "same" / "seed-1")["greedy"].finished
    listed = {status.run.name: status for status in forecast(grid, work, runs)}
    assert listed["same seed 0"].waits_for == ("good seed 0",)
    assert listed["same seed 1"].state == "finished"
    assert listed["good seed 0"].state == "started"
    assert listed["same seed 0"].state == "pending"
    *_, path = write_evidence(grid, work, tmp_path / "results")
    assert json.loads(path.read_text())["unfinished"] == ["good", "same"]
    commands.fail = ""
    before = len(commands.run)
    run_grid(grid, work, runs, 1)
    assert [what for what, _ in commands.run[before:]].count("train") == 2


def test_the_forecast_uses_estimates_until_a_similar_run_is_finished(grid, commands, tmp_path):
    work = tmp_path / "work"
    runs = runs_of(grid, work)
    remaining = {status.run.name: status.remaining for status in forecast(grid, work, runs)}
    assert remaining["good seed 0"] == pytest.approx(10 * 6 + 60)
    assert remaining["same seed 0"] == pytest.approx(10 * 6 + 60)
    run_grid(grid, work, runs_of(grid, work, ["good"]), 1)
    after = {status.run.name: status for status in forecast(grid, work, runs)}
    assert after["good seed 0"].remaining == 0
    assert after["good seed 0"].spent > 0
    assert after["same seed 0"].remaining < 120


def test_a_folder_in_use_is_refused_and_a_missing_file_is_named_first(grid, commands, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    with (work / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="in use"):
            run_grid(grid, work, runs_of(grid, work), 1)
    (tmp_path / "data" / "dataset.json").unlink()
    for part in (tmp_path / "data").iterdir():
        part.unlink()
    (tmp_path / "data").rmdir()
    with pytest.raises(UserError, match="does not exist"):
        run_grid(grid, work, runs_of(grid, work), 1)
    assert commands.run == []


def test_a_shortened_curve_keeps_ends_and_means():
    lines = [{"step": n, "seconds": n, "x": float(n % 2)} for n in range(1, 102)]
    points = thinned(lines, 20)
    assert len(points) <= 20
    assert points[-1]["step"] == 101
    assert points[0]["x"] == pytest.approx(0.5, abs=0.1)
    assert thinned([]) == []
