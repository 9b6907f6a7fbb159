"""`maniplvm doctor`: the table, the files and the exit status."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from maniplvm.cli.doctor import doctor
from maniplvm.data import write_dataset
from maniplvm.errors import UserError
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLISHED = REPOSITORY / "docs" / "examples" / "published-constants.yaml"
PNG = b"\x89PNG\r\n\x1a\n"

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(doctor)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(
        app, [str(argument) for argument in arguments], env={"COLUMNS": "120"}
    )


def user_error(*arguments: object) -> str:
    error = call(*arguments).exception
    assert isinstance(error, UserError), error
    assert "\n" not in str(error)
    return str(error)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty tiny boxes and twenty traces, a few of each in a second split."""
    rng = np.random.default_rng(5)
    samples = list[Sample]()
    for index in range(20):
        x, y = rng.uniform(0.05, 0.9, 2) * (640, 480)
        start, end = rng.uniform(0.1, 0.9, (2, 2)) * (640, 480)
        way = start + np.linspace(0, 1, 5)[:, None] * (end - start)
        split = "train" if index < 17 else "id_test"
        box = BoxTarget([x, y, x + 20, y + 15])
        trace = TraceTarget(way)
        head = "touch it", (640, 480)
        samples.append(Sample(f"b{index}", Task.AFFORDANCE, *head, box, split=split))
        samples.append(Sample(f"t{index}", Task.TRAJECTORY, *head, trace, split=split))
    folder = tmp_path_factory.mktemp("doctor") / "data"
    write_dataset(folder, samples, name="drawn")
    return folder


def test_a_reward_that_passes_gives_exit_status_0(data: Path) -> None:
    result = call("--data", data, "--preset", "dense")
    assert result.exit_code == 0, result.output
    assert "passes: dense on affordance" in result.output
    assert "passes: dense on trajectory" in result.output
    assert "offset 0.5 %" in result.output
    assert "whole image" in result.output
    assert "another sample's target" in result.output
    assert "adversarial (max of 3" in result.output


def test_a_reward_with_issues_gives_exit_status_1_and_one_line_for_each_issue(data: Path) -> None:
    result = call("--data", data, "--preset", PUBLISHED, "--task", "trajectory")
    assert result.exit_code == 1, result.output
    assert "issues found: published-constants on trajectory" in result.output
    (line,) = (line for line in result.output.splitlines() if "✗" in line)
    assert "saturated" in line
    assert "unit: diagonal" in line


def test_one_preset_with_issues_gives_exit_status_1(data: Path) -> None:
    arguments = ("--data", data, "--task", "affordance", "--preset", "dense", "--preset")
    assert call(*arguments, "paper").exit_code == 1


def test_the_default_preset_is_paper(data: Path) -> None:
    result = call("--data", data, "--task", "trajectory")
    assert result.exit_code == 0
    assert "paper · trajectory · 20 samples · frame pixels" in result.output


def test_split_and_limit_select_the_samples(data: Path) -> None:
    result = call("--data", data, "--task", "trajectory", "--split", "id_test")
    assert "3 samples" in result.output
    assert "not checked: only 3 samples" in result.output
    assert "4 samples" in call("--data", data, "--task", "trajectory", "--limit", 4).output


def test_the_files_are_written_and_the_same_seed_gives_the_same_json(
    data: Path, tmp_path: Path
) -> None:
    image, first, second = (tmp_path / name for name in ("r.png", "a.json", "b.json"))
    arguments = ("--data", data, "--preset", "dense", "--preset", "paper", "--seed", 3)
    assert call(*arguments, "--out", image, "--json", first).exit_code == 1
    assert image.read_bytes().startswith(PNG)
    report = json.loads(first.read_text(encoding="utf-8"))
    assert report["passed"] is False
    assert report["seed"] == 3
    rewards = [(found["reward"], found["task"]) for found in report["diagnoses"]]
    tasks = ("affordance", "trajectory")
    assert rewards == [(name, task) for task in tasks for name in ("dense", "paper")]
    call(*arguments, "--json", second)
    assert json.loads(second.read_text(encoding="utf-8"))["diagnoses"] == report["diagnoses"]


def test_answers_are_written_in_the_given_frame(data: Path) -> None:
    result = call("--data", data, "--preset", "dense", "--frame", "qwen3_vl")
    assert result.exit_code == 0, result.output
    assert "frame qwen3_vl" in result.output


def test_a_preset_without_terms_for_a_task_is_skipped_there(data: Path, tmp_path: Path) -> None:
    preset = tmp_path / "traces.yaml"
    preset.write_text("name: traces\ntrajectory: {dfd: {}, end: {}}\n", encoding="utf-8")
    result = call("--data", data, "--preset", preset)
    assert result.exit_code == 0, result.output
    assert "preset traces has no terms for affordance: skipped" in result.output
    arguments = ("--data", data, "--preset", preset, "--task", "affordance")
    assert "nothing to check" in user_error(*arguments)


def test_invalid_options_are_user_errors(data: Path, tmp_path: Path) -> None:
    assert "choose from paper" in user_error("--data", data, "--preset", "papr")
    assert "choose from" in user_error("--data", data, "--frame", "qwen9")
    assert "choose from train" in user_error("--data", data, "--split", "tset")
    user_error("--data", tmp_path / "nothing")
    assert "extension" in user_error("--data", data, "--out", "rewards.txt")
    arguments = ("--data", data, "--task", "trajectory", "--limit", 2)
    missing = tmp_path / "no" / "folder"
    assert "cannot be written" in user_error(*arguments, "--out", missing / "r.png")
    assert "cannot be written" in user_error(*arguments, "--json", missing / "r.json")
    assert call("--data", data, "--limit", 0).exit_code == 2
    assert call("--data", data, "--task", "flying").exit_code == 2
    assert call().exit_code == 2


def test_a_task_without_samples_is_a_user_error(tmp_path: Path) -> None:
    trace = TraceTarget([[1, 2], [30, 4], [50, 60]])
    sample = Sample("t", Task.TRAJECTORY, "go", (64, 64), trace)
    write_dataset(tmp_path / "traces", [sample], name="one")
    error = user_error("--data", tmp_path / "traces", "--task", "affordance")
    assert "contains no affordance samples" in error


def test_a_missing_matplotlib_is_an_error_with_the_pip_command(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 'pip install "maniplvm[plot]"' in user_error("--data", data, "--out", "rewards.png")
    assert call("--data", data, "--task", "trajectory").exit_code == 0
