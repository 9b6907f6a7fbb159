import subprocess
import sys

import pytest
import yaml

from maniplvm.errors import UserError
from maniplvm.training import build_recipe, read_recipe
from maniplvm.training.config.recipe import first_difference

SMALLEST = {"name": "small", "model": {"source": "embedded"}, "data": {"path": "somewhere"}}


def changed(**sections):
    return {**SMALLEST, **sections}


def written(folder, settings):
    path = folder / "recipe.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
    return path


def test_the_smallest_recipe_has_the_documented_defaults():
    recipe = build_recipe(SMALLEST, "here")
    assert recipe.data.task == "joint"
    assert recipe.data.fraction == 1.0
    assert recipe.rewards.preset == "dense"
    assert recipe.monitor.samples_every == 50
    assert recipe.time_limit_minutes is None


def test_a_recipe_survives_its_own_mapping():
    settings = changed(
        model={"source": "embedded", "lora": {"rank": 4, "targets": ["q_proj"]}},
        data={"path": "a", "mix": [{"path": "b", "share": 0.25}]},
        prompts={"affordance": "{instruction}?"},
        trainer={"learning_rate": 1e-6},
    )
    recipe = build_recipe(settings, "here")
    assert build_recipe(yaml.safe_load(yaml.safe_dump(recipe.to_mapping())), "there") == recipe


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (changed(modle={}), "unknown key 'modle'; did you mean model?"),
        (changed(data={"path": "a", "fractoin": 0.5}), "data: unknown key 'fractoin'; did you"),
        (changed(data={"path": "a", "fraction": "half"}), "data.fraction: expected a number"),
        (changed(data={"path": "a", "fraction": 0}), "data.fraction: must lie above 0"),
        (changed(data={"path": "a", "task": "grasp"}), "affordance, trajectory, pointing, joint"),
        (changed(data={"path": "a", "mix": [{"path": "b"}]}), r"data.mix\[0\].share: missing"),
        (changed(data={"path": "a", "mix": [{"path": "b", "share": 1.0}]}), "between 0 and 1"),
        (changed(data=["a"]), "data: expected a mapping"),
        (changed(model={}), "model.source: missing"),
        (changed(model={"source": "a", "lora": {"rank": 0}}), "rank must be at least 1"),
        (changed(model={"source": "a", "freeze_vision": "yes"}), "expected a boolean"),
        (changed(rewards={"preset": "dnese"}), "paper, weighted, dense"),
        (changed(rewards={"preset": {"name": "own", "affordance": {"iuo": {}}}}), "iuo"),
        (changed(prompts={"grasp": "{instruction}"}), "unknown key 'grasp'"),
        (changed(prompts={"affordance": "{instructoin}"}), "instructoin"),
        (changed(name="../elsewhere"), "names a folder"),
        (changed(time_limit_minutes=-1), "time_limit_minutes"),
        (changed(seed=True), "seed: expected an integer"),
    ],
)
def test_a_bad_recipe_is_one_line_that_names_file_and_key(tmp_path, settings, says):
    path = written(tmp_path, settings)
    with pytest.raises(UserError, match=says) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_with_an_exponent_and_no_dot_is_a_number(tmp_path):
    text = yaml.safe_dump(SMALLEST) + "trainer: {learning_rate: 1e-6}\n"
    recipe = read_recipe(written(tmp_path, text), ["trainer.beta=4e-2"])
    assert recipe.trainer == {"learning_rate": 1e-6, "beta": 0.04}


def test_a_key_that_stands_twice_is_an_error(tmp_path):
    with pytest.raises(UserError, match="'seed' appears twice"):
        read_recipe(written(tmp_path, yaml.safe_dump(SMALLEST) + "seed: 1\nseed: 2\n"))


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", "", "\xff"])
def test_a_file_that_holds_no_settings_is_one_line(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"recipe\.yaml"):
        read_recipe(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def test_changes_reach_any_depth_and_are_read_as_yaml(tmp_path):
    path = written(tmp_path, SMALLEST)
    recipe = read_recipe(
        path, ["seed=3", "data.fraction=0.5", "model.lora.rank=4", "prompts={}", "data.task=joint"]
    )
    assert (recipe.seed, recipe.data.fraction) == (3, 0.5)
    assert recipe.model.lora is not None
    assert recipe.model.lora.rank == 4


CHANGES_OF_ANOTHER_FORM = [
    *("seed", "=3", "data..path=a", "seed=[", "seed=2024-13-45", "seed=!!bool x"),
    *("trainer.learning_rate=.inf", "seed=" + "9" * 400, "prompts=" + "[" * 9000),
]


@pytest.mark.parametrize("change", CHANGES_OF_ANOTHER_FORM)
def test_a_change_of_another_form_is_one_line(tmp_path, change):
    with pytest.raises(UserError, match="--set"):
        read_recipe(written(tmp_path, SMALLEST), [change])


def test_paths_are_found_beside_the_recipe_and_a_preset_file_is_taken_in(tmp_path):
    (tmp_path / "data").mkdir()
    preset = {"name": "own", "affordance": {"iou": {"weight": 2}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(preset))
    settings = changed(data={"path": "data"}, rewards={"preset": "own.yaml"})
    recipe = read_recipe(written(tmp_path, settings))
    assert recipe.data.path == str(tmp_path / "data")
    assert recipe.rewards.preset == preset


def test_the_first_difference_is_named_by_its_whole_key():
    one = {"a": {"b": 1, "c": [1, 2]}, "d": 0}
    assert first_difference(one, one) is None
    assert first_difference(one, {"a": {"b": 1, "c": [1, 3]}, "d": 0}) == "a.c"
    assert first_difference(one, {"a": {"b": 1, "c": [1, 2], "e": 0}, "d": 0}) == "a.e"


def test_importing_training_leaves_torch_alone():
    code = "import sys, maniplvm.training; sys.exit('torch' in sys.modules or 'trl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
