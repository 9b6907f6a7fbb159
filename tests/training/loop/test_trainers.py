"""What our trainers replace must exist in TRL, or replacing it would do nothing."""

import json
import shutil
from dataclasses import replace

import pytest
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import SFTTrainer

from maniplvm.training import train
from maniplvm.training.loop.trainers import QuietSFTTrainer, grpo_trainer_class
from tests.training.tiny_training import use_pseudorandom_rewards


@pytest.mark.parametrize(
    ("base", "ours"),
    [(SFTTrainer, QuietSFTTrainer), (GRPOTrainer, grpo_trainer_class(GRPOTrainer))],
)
def test_every_method_that_is_replaced_is_one_of_trl_s(base, ours):
    mixins = [kind for kind in ours.__mro__ if kind.__module__ == "maniplvm.training.loop.trainers"]
    replaced = {name for kind in mixins for name, value in vars(kind).items() if callable(value)}
    assert {"create_model_card", "_send_telemetry", "_load_from_checkpoint"} < replaced
    assert [name for name in replaced if not hasattr(base, name)] == []


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("shared", [True, False])
def test_rollouts_take_no_setting_from_the_checkpoint(tiny_setup, tmp_path, monkeypatch, shared):
    """Settings that the recipe leaves open, such as `min_new_tokens`, keep their defaults."""
    use_pseudorandom_rewards(monkeypatch.setattr)
    odd = tmp_path / "odd"
    shutil.copytree(tiny_setup.model, odd)
    config = json.loads((odd / "generation_config.json").read_text())
    config |= {"min_new_tokens": 6, "no_repeat_ngram_size": 1, "typical_p": 0.2}
    config |= {"begin_suppress_tokens": list(range(100)), "num_beams": 2, "do_sample": True}
    (odd / "generation_config.json").write_text(json.dumps(config))
    logged = []
    for model in (tiny_setup.model, odd):
        recipe = replace(tiny_setup, model=model).recipe(
            "grpo",
            {"max_steps": 2},
            monitor={"samples_every": 1, "samples": 8},
            shared_prefix={"enabled": shared},
        )
        run = tmp_path / f"run-{model.name}"
        assert train(recipe, "grpo", run).get("shared_prefix", {}).get("fallbacks", {}) == {}
        files = sorted((run / "completions").glob("*.jsonl"))
        logged.append([path.read_text() for path in files])
    assert len(logged[0]) == 2
    assert logged[0] == logged[1]
