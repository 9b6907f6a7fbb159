"""Grid files: keys, errors, and the commands of their runs."""

import json
from pathlib import Path

import pytest

from maniplvm.config.yaml import parse_yaml
from maniplvm.errors import UserError
from maniplvm.experiments import read_grid, runs_of, stages_of
from maniplvm.experiments.grids.runs import needed_runs
from maniplvm.experiments.grids.stages import _written, samples_a_step, stage_names

ROOT = Path(__file__).parents[3]
GRPO, SFT = ROOT / "recipes/grpo/embedded.yaml", ROOT / "recipes/sft/embedded.yaml"
GRID = f"""
name: small
data: datasets/sim-small
seeds: [3, 4]
base: base
evaluate: {{splits: [adapt_test], execute: [adapt_test], sampled: [adapt_test]}}
arms:
  base: {{}}
  constant: {{baseline: constant, baseline_data: "x:adapt"}}
  grpo:
    method: grpo
    recipe: {GRPO}
    fractions: [1, 0.5]
    alpha: 0.75
    set: {{trainer.max_steps: 7, rewards.preset: paper}}
  chained: {{like: grpo, fraction: 1, start: sft, set: {{trainer.max_steps: 3}}}}
  sft: {{method: sft, recipe: {SFT}, tier: other, budget: {{minutes: 2}}}}
  matched: {{like: sft, budget: {{minutes_of: grpo-50}}}}
  seen: {{like: sft, budget: {{samples_of: grpo-100}}}}
pairs: [[sft, grpo-50]]
"""


@pytest.fixture
def grid(tmp_path):
    def read(text=GRID, *changes):
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "grid.yaml"
        path.write_text(text)
        return read_grid(path)

    return read


def record(run, **changes):
    root = run.training.root
    root.mkdir(parents=True)
    content = {"format": "maniplvm.run/1", "method": run.arm.method, "finished": True}
    content |= {"steps": 7, "wall_seconds": 90.0, "recipe": {"trainer": TRAINER}} | changes
    (root / "run.json").write_text(json.dumps(content))


TRAINER = {"per_device_train_batch_size": 128, "num_generations": 8}


def set_of(stage):
    words = stage.arguments
    return [words[i + 1] for i, word in enumerate(words) if word == "--set"]


def test_fractions_become_arms_and_like_inherits(grid):
    arms = grid().arms
    assert list(arms) == [
        "base",
        "constant",
        "grpo-100",
        "grpo-50",
        "chained",
        "sft",
        "matched",
        "seen",
    ]
    assert (arms["grpo-50"].fraction, arms["grpo-50"].alpha) == (0.5, 0.75)
    assert arms["chained"].set == {"trainer.max_steps": 3, "rewards.preset": "paper"}
    assert arms["matched"].tier == "other"


def test_the_commands_of_a_run_in_order(grid, tmp_path):
    own = grid()
    (run,) = [r for r in runs_of(own, tmp_path / "w") if r.name == "grpo-50 seed 4"]
    stages = stages_of(own, tmp_path / "w", run)
    assert [stage.name for stage in stages] == stage_names(own, run)
    train, interpolate, greedy, sampled, page = stages
    assert train.arguments[:3] == ("train", "grpo", str(GRPO))
    assert {"seed=4", "data.fraction=0.5", "model.source=embedded", "trainer.max_steps=7"} <= set(
        set_of(train)
    )
    assert interpolate.arguments[:3] == ("interpolate", "embedded", str(run.training.model))
    assert greedy.arguments[1] == interpolate.arguments[-1] == str(run.model)
    assert sampled.arguments[-3:-2] == ("4",)
    assert str(run.greedy) in page.arguments


def test_a_run_comes_after_the_runs_that_it_needs(grid, tmp_path):
    own = grid()
    names = [run.name for run in runs_of(own, tmp_path)]
    assert names[0] == "base"
    assert names.count("constant") == 1
    assert names.index("sft seed 3") < names.index("chained seed 3")
    (chained,) = [run for run in runs_of(own, tmp_path) if run.name == "chained seed 3"]
    assert {run.name for run in needed_runs(own, tmp_path, chained)} == {"base", "sft seed 3"}
    source = str(tmp_path / "sft" / "seed-3" / "run" / "model")
    train, interpolate, *_ = stages_of(own, tmp_path, chained)
    assert f"model.source={source}" in set_of(train)
    assert interpolate.arguments[1] == "embedded"


def test_selected_arms_bring_the_arms_that_they_need(grid, tmp_path):
    own = grid()
    arms = {run.arm.name for run in runs_of(own, tmp_path, ["chained"])}
    assert arms == {"base", "sft", "chained"}
    assert {run.arm.name for run in runs_of(own, tmp_path, ["other"])} == {
        *("base", "sft", "matched", "seen", "grpo-50", "grpo-100")
    }
    with pytest.raises(UserError, match="did you mean chained"):
        runs_of(own, tmp_path, ["chaned"])


def test_a_budget_is_taken_from_the_run_of_the_same_seed(grid, tmp_path):
    own = grid()
    runs = {run.name: run for run in runs_of(own, tmp_path)}
    record(runs["grpo-50 seed 3"])
    record(runs["grpo-100 seed 3"])
    matched = stages_of(own, tmp_path, runs["matched seed 3"])[0]
    assert "time_limit_minutes=1.5" in set_of(matched)
    seen = set_of(stages_of(own, tmp_path, runs["seen seed 3"])[0])
    assert "trainer.max_steps=4" in seen  # 7 x 16 prompts, 32 reference answers a step
    assert "time_limit_minutes=null" in seen
    with pytest.raises(UserError, match="cannot be read"):
        stages_of(own, tmp_path, runs["matched seed 4"])


def test_samples_of_a_step_follow_from_the_trainer_settings():
    assert samples_a_step(TRAINER, "grpo") == 16
    assert samples_a_step({**TRAINER, "num_iterations": 2}, "grpo") == 8
    assert samples_a_step({**TRAINER, "gradient_accumulation_steps": 2}, "sft") == 256


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("alpha: 0.75", "alpa: 1", r"arms\.grpo: unknown key 'alpa'; did you mean alpha"),
        ("alpha: 0.75", "alpha: 2", "alpha: must be above 0"),
        ("budget: {minutes: 2}", "budget: {}", "give one of minutes"),
        ("start: sft", "start: stf", "did you mean sft"),
        ("start: sft", "start: base", "base does not train"),
        ("start: sft", "start: chained", "needs itself"),
        ("like: sft, budget: {minutes_of", "like: stf, budget: {minutes_of", "did you mean sft"),
        ("base: base", "base: sft", "must be a model without training"),
        ("[[sft, grpo-50]]", "[[sft, grpo]]", "did you mean grpo-50"),
        ("[[sft, grpo-50]]", "[[sft]]", r"expected \[before, after\]"),
        ("baseline: constant,", "baseline: constnt,", "did you mean constant"),
        ("method: sft, ", "method: ppo, ", "method: choose from sft, grpo"),
        ("execute: [adapt_test]", "execute: [train]", "train is not among"),
        ("seeds: [3, 4]", "seeds: [3.5]", "expected an integer"),
        ("  base: {}", "  base: 3", "expected a mapping"),
    ],
)
def test_an_invalid_grid_is_a_one_line_error_that_names_the_place(grid, before, after, message):
    with pytest.raises(UserError, match=message) as raised:
        grid(GRID, (before, after))
    assert "\n" not in str(raised.value)
    assert "grid.yaml" in str(raised.value)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes/experiments").glob("*.yaml")), ids=str)
def test_shipped_grids_and_their_recipes_can_be_read(path, monkeypatch, tmp_path):
    from dataclasses import replace

    from maniplvm.experiments.grids.stages import check_files

    monkeypatch.chdir(ROOT)
    grid = read_grid(path)
    runs = [
        replace(run, arm=replace(run.arm, model=None)) for run in runs_of(grid, tmp_path)
    ]  # the pretrained base of an arm may be missing here
    check_files(grid, runs)


def test_an_arm_can_change_the_evaluation(grid, tmp_path):
    own = grid(
        GRID,
        (
            "tier: other,",
            "tier: other, evaluate: {execute: [], sampled: [], limit: 5, pages: false},",
        ),
    )
    (run,) = [r for r in runs_of(own, tmp_path) if r.name == "sft seed 3"]
    train, greedy = stages_of(own, tmp_path, run)
    assert stage_names(own, run) == [train.name, greedy.name] == ["train", "greedy"]
    assert "--no-execute" in greedy.arguments
    assert greedy.arguments[greedy.arguments.index("--limit") + 1] == "5"
    assert own.evaluation_of(own.arms["grpo-100"]) == own.evaluate
    assert needed_runs(own, tmp_path, run) == []


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("{splitz: [a]}", "arms.sft.evaluate: unknown key 'splitz'; did you mean splits"),
        ("{execute: [train]}", "train is not among evaluate.splits"),
        ("{limit: many}", "arms.sft.evaluate.*limit"),
    ],
)
def test_the_evaluation_of_an_arm_is_checked(grid, own, message):
    with pytest.raises(UserError, match=message):
        grid(GRID, ("tier: other,", f"tier: other, evaluate: {own},"))


def test_an_arm_can_have_its_own_seeds(grid, tmp_path):
    seen = "seen: {like: sft, "
    own = grid(GRID, (seen, f"{seen}seeds: [3], "))
    names = [run.name for run in runs_of(own, tmp_path, ["seen"])]
    assert "seen seed 3" in names
    assert "seen seed 4" not in names
    with pytest.raises(UserError, match=r"arms\.seen\.seeds: expected a list, got 3"):
        grid(GRID, (seen, f"{seen}seeds: 3, "))


def test_the_old_key_of_alpha_is_accepted_with_one_notice(grid, tmp_path):
    path = Path(grid().where)
    path.write_text(GRID.replace("alpha: 0.75", "blend: 0.75"))
    notices = []
    old = read_grid(path, lambda *names: notices.append(names))
    assert notices == [("blend", "alpha")]
    assert old == grid()


def test_a_present_key_gives_no_notice(grid):
    notices = []
    read_grid(grid().where, lambda *names: notices.append(names))
    assert notices == []


def test_old_and_new_key_together_are_a_one_line_error(grid):
    with pytest.raises(UserError, match=r"grid.yaml: arms\.grpo: blend is the old name of alpha"):
        grid(GRID, ("alpha: 0.75", "alpha: 0.75\n    blend: 0.5"))


def test_every_string_of_a_change_is_read_back():
    values = ["plain", "3", "[", "2024-13-45", ".inf", "!!bool x", "a: b", "\x1b[2J", ""]
    for value in values:
        (change,) = _written({"name": value})
        assert parse_yaml(change.removeprefix("name=")) == value
