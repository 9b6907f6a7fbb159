"""Whole runs of a tiny model: what they leave behind, and how they end."""

import io
import json

import pytest
import torch
from rich.console import Console

from maniplvm.errors import UserError
from maniplvm.files import locked
from maniplvm.models import load_model
from maniplvm.training import read_recipe, train
from maniplvm.training.loop.run_folder import RunFolder
from maniplvm.training.loop.run_log import read_log
from tests.training.tiny_training import use_pseudorandom_rewards

# peft asks for a name that transformers has renamed
pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)

MONITOR = {"samples_every": 2, "samples": 3}


@pytest.fixture(autouse=True)
def pseudorandom_rewards(monkeypatch):
    use_pseudorandom_rewards(monkeypatch.setattr)


def train_with_output(recipe, method, out):
    console = Console(file=io.StringIO(), width=200)
    record = train(recipe, method, out, command=["maniplvm", "train"], console=console)
    return record, console.file.getvalue()


def test_a_grpo_run_leaves_recipe_record_log_samples_and_model(tiny_setup, tmp_path):
    recipe = tiny_setup.recipe("grpo", {"max_steps": 3, "beta": 0.04}, monitor=MONITOR)
    record, output = train_with_output(recipe, "grpo", tmp_path / "run")
    run = tmp_path / "run"
    assert read_recipe(run / "recipe.yaml") == recipe
    assert record == json.loads((run / "run.json").read_text())
    assert record["format"] == "maniplvm.run/1"
    assert (record["method"], record["name"], record["seed"]) == ("grpo", "tiny", 0)
    assert (record["samples"], record["steps"], record["finished"]) == (24, 3, True)
    assert record["recipe"] == recipe.to_mapping()
    assert record["peak_rss_mb"] > 100
    assert {"torch", "trl", "maniplvm"} < set(record["versions"])
    shared = record["shared_prefix"]
    assert shared["fallbacks"] == {}
    assert set(shared["verified"]) == {"log-probabilities", "completions"}
    lines = list(read_log(run / "log.jsonl"))
    assert [line["step"] for line in lines] == [1, 2, 3]
    names = "seconds reward reward_std parse_rate format_rate completions/mean_length"
    more = "completions/clipped_ratio frac_reward_zero_std group_reward_std entropy kl loss grad_norm learning_rate"
    terms = ("reward/affordance/iou", "reward/trajectory/dfd", "reward/trajectory/format")
    for line in lines:
        assert {*names.split(), *more.split(), *terms} <= set(line)
        assert all(isinstance(value, int | float) for value in line.values())
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert {path.name for path in (run / "completions").iterdir()} == {
        f"step-{step:06d}.{form}" for step in (1, 2) for form in ("jsonl", "jpg")
    }
    logged = (run / "completions" / "step-000002.jsonl").read_text().splitlines()
    assert len({json.loads(text)["id"] for text in logged}) == 2
    assert {"text", "target", "reward", "terms", "status"} < set(json.loads(logged[0]))
    assert load_model(run / "model").family.name == "qwen2_5_vl"
    assert "step 3/3" in output


def test_an_sft_run_lowers_its_loss_and_scores_samples(tiny_setup, tmp_path):
    recipe = tiny_setup.recipe(
        "sft", {"max_steps": 30}, monitor={"samples_every": 10, "samples": 2}
    )
    train(recipe, "sft", tmp_path / "run")
    lines = list(read_log(tmp_path / "run" / "log.jsonl"))
    assert lines[-1]["loss"] < lines[0]["loss"] / 5
    assert "mean_token_accuracy" in lines[-1]
    scored = [line["step"] for line in lines if "reward" in line]
    assert scored == [1, 10, 20, 30]


def test_a_finished_run_says_so_and_does_nothing(tiny_setup, tmp_path):
    recipe = tiny_setup.recipe("sft", {"max_steps": 1})
    first, _ = train_with_output(recipe, "sft", tmp_path / "run")
    again, output = train_with_output(recipe, "sft", tmp_path / "run")
    assert again == first
    assert "already finished" in output


def test_a_folder_of_another_run_is_refused_and_the_difference_named(tiny_setup, tmp_path):
    train(tiny_setup.recipe("sft", {"max_steps": 1}), "sft", tmp_path / "run")
    other = tiny_setup.recipe("sft", {"max_steps": 1, "learning_rate": 0.5})
    with pytest.raises(UserError, match=r"differ in trainer\.learning_rate"):
        train(other, "sft", tmp_path / "run")
    with pytest.raises(UserError, match="holds a run of sft, not of grpo"):
        train(tiny_setup.recipe("grpo"), "grpo", tmp_path / "run")


def test_a_run_that_ended_before_its_first_step_starts_again(tiny_setup, tmp_path):
    recipe = tiny_setup.recipe("sft", {"max_steps": 1})
    RunFolder(tmp_path / "run").claim(recipe)
    (tmp_path / "run" / "model.unfinished").mkdir()
    assert train(recipe, "sft", tmp_path / "run")["finished"]


def test_a_run_that_could_not_start_leaves_no_folder(tiny_setup, tmp_path):
    for section in ({"data": {"path": "nowhere"}}, {"model": {"source": "./nowhere"}}):
        with pytest.raises(UserError, match="nowhere"):
            train(tiny_setup.recipe("sft", **section), "sft", tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_left_alone(tiny_setup, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no run"):
        train(tiny_setup.recipe("sft"), "sft", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_trained_adapter_is_kept_alone_and_in_a_whole_model(tiny_setup, tmp_path):
    model = {"lora": {"rank": 2}, "family": "qwen3_vl"}
    recipe = tiny_setup.recipe("grpo", {"max_steps": 2, "beta": 0.1}, model=model)
    train(recipe, "grpo", tmp_path / "run")
    whole = load_model(tmp_path / "run" / "model")
    merged = load_model(tiny_setup.model, family="qwen3_vl", adapter=tmp_path / "run" / "adapter")
    assert whole.family.name == "qwen3_vl"
    start = load_model(tiny_setup.model).model.state_dict()
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(value, merged.model.state_dict()[name], msg=name)
    assert any((start[name] != v).any() for name, v in whole.model.state_dict().items())


def test_the_reference_of_a_merged_adapter_is_the_merged_model(tiny_setup, tmp_path):
    first = tiny_setup.recipe("sft", {"max_steps": 5}, model={"lora": {"rank": 2}})
    train(first, "sft", tmp_path / "first")
    recipe = tiny_setup.recipe(
        "grpo",
        {"max_steps": 1, "beta": 0.1},
        model={"adapter": str(tmp_path / "first" / "adapter")},
    )
    train(recipe, "grpo", tmp_path / "second")
    (line,) = read_log(tmp_path / "second" / "log.jsonl")
    assert line["kl"] == pytest.approx(0, abs=1e-6)


def test_a_time_limit_ends_a_run_with_its_schedule_unchanged(tiny_setup, tmp_path):
    settings = {"max_steps": 1000, "lr_scheduler_type": "linear"}
    recipe = tiny_setup.recipe("sft", settings, time_limit_minutes=1e-4)
    record, output = train_with_output(recipe, "sft", tmp_path / "run")
    assert record["finished"]
    assert record["steps"] < 1000
    assert f"{record['steps']} of 1000 steps" in output
    first = next(read_log(tmp_path / "run" / "log.jsonl"))
    assert first["learning_rate"] == pytest.approx(1e-2, rel=1e-2)


def test_warnings_are_shown_and_recorded(tiny_setup, tmp_path):
    recipe = tiny_setup.recipe("grpo", {"max_steps": 12, "temperature": 1e-4})
    record, output = train_with_output(recipe, "grpo", tmp_path / "run")
    assert any("same reward" in text for text in record["warnings"])
    assert "! step 10" in output


def test_the_log_of_a_run_that_diverged_holds_only_finite_numbers(tiny_setup, tmp_path):
    settings = {"max_steps": 3, "learning_rate": 1e30, "max_grad_norm": 0.0, "logging_steps": 1}
    with pytest.raises(UserError, match="is not finite"):
        train_with_output(tiny_setup.recipe("sft", settings), "sft", tmp_path / "run")
    text = (tmp_path / "run" / "log.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert text.count("\n") == 1


def test_an_unknown_method_is_one_line(tiny_setup, tmp_path):
    with pytest.raises(UserError, match="choose from sft, grpo"):
        train(tiny_setup.recipe("sft"), "ppo", tmp_path / "run")


def test_a_folder_in_which_a_run_is_training_is_refused(tiny_setup, tmp_path):
    recipe, run = tiny_setup.recipe("sft", {"max_steps": 2}), tmp_path / "run"
    run.mkdir()
    with locked(run), pytest.raises(UserError, match="another process writes to it"):
        train_with_output(recipe, "sft", run)
    record, _ = train_with_output(recipe, "sft", run)
    assert record["finished"]
    assert not list(run.glob("*.unfinished"))
