"""A run whose loss or weights are not finite ends with an error and saves nothing of that step."""

import io
import math

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from trl.trainer.sft_trainer import SFTTrainer

from maniplvm.errors import UserError
from maniplvm.models import find_non_finite, interpolate_weights, load_model
from maniplvm.training import train
from maniplvm.training.loop.run_folder import read_record
from tests.training.tiny_training import use_pseudorandom_rewards

SILENT = Console(file=io.StringIO())
DIVERGING = {
    "learning_rate": 1e18,
    "max_grad_norm": 0.0,
    "logging_steps": 50,
    "lr_scheduler_type": "constant",
}


@pytest.mark.parametrize("method", ["sft", "grpo"])
def test_a_diverging_run_ends_with_the_step_and_the_causes(
    tiny_setup, tmp_path, method, monkeypatch
):
    use_pseudorandom_rewards(monkeypatch.setattr)
    recipe = tiny_setup.recipe(method, trainer=DIVERGING)
    with pytest.raises(UserError, match=r"^step \d: .* is not finite; usual causes: ") as error:
        train(recipe, method, tmp_path / "run", console=SILENT)
    assert "trainer.learning_rate 1e+18" in str(error.value)
    assert "trainer.max_grad_norm 0" in str(error.value)
    assert "\n" not in str(error.value)
    record = read_record(tmp_path / "run")
    assert record["error"] == str(error.value)
    assert not record["finished"]
    assert not (tmp_path / "run" / "model").exists()


def test_the_error_names_the_last_checkpoint_which_is_finite(tiny_setup, tmp_path, monkeypatch):
    calls, real = [], SFTTrainer.compute_loss

    def compute_loss(self, *args, **kwargs):
        calls.append(1)
        loss = real(self, *args, **kwargs)
        return loss * math.nan if len(calls) == 5 else loss

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)
    recipe = tiny_setup.recipe("sft", trainer={"save_steps": 2})
    run = tmp_path / "run"
    with pytest.raises(UserError, match=r"step 5: the loss is not finite.*checkpoint-4$"):
        train(recipe, "sft", run, console=SILENT)
    monkeypatch.undo()
    assert [path.name for path in (run / "checkpoints").iterdir()].count("checkpoint-4") == 1
    assert find_non_finite(load_model(run / "checkpoints" / "checkpoint-4").model) is None
    resumed = train(recipe, "sft", run, console=SILENT)
    assert resumed["finished"]
    assert "error" not in resumed


def test_a_weight_that_becomes_infinite_is_named(tiny_setup, tmp_path, monkeypatch):
    real = torch.optim.AdamW.step

    def step(self, *args, **kwargs):
        result = real(self, *args, **kwargs)
        with torch.no_grad():
            self.param_groups[0]["params"][0].view(-1)[0] = math.inf
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(UserError, match=r"step 1: the weight \S+ is not finite"):
        train(tiny_setup.recipe("sft"), "sft", tmp_path / "run", console=SILENT)


@pytest.fixture
def damaged(tiny_setup, tmp_path):
    """A checkpoint with one NaN."""
    folder = tmp_path / "damaged"
    load_model(tiny_setup.model).save(folder)
    (path,) = folder.glob("*.safetensors")
    weights = load_file(path)
    name = sorted(weights)[3]
    weights[name].view(-1)[0] = math.nan
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def test_a_checkpoint_with_nan_is_not_loaded(damaged):
    with pytest.raises(UserError, match=r"damaged: the weight \S+ is not finite; .* checkpoint"):
        load_model(damaged)


def test_a_model_with_nan_is_not_saved(tiny_setup, tmp_path):
    loaded = load_model(tiny_setup.model)
    with torch.no_grad():
        next(loaded.model.parameters()).view(-1)[0] = math.nan
    with pytest.raises(UserError, match=r"not written, because the weight .* is not finite"):
        loaded.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_with_nan_are_not_interpolated(tiny_setup, damaged, tmp_path):
    with pytest.raises(UserError, match="is not finite"):
        interpolate_weights(tiny_setup.model, damaged, tmp_path / "out", alpha=0.5)
    assert not (tmp_path / "out").exists()


def test_only_trainable_parameters_are_checked_on_request():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[0].requires_grad_(False)
    with torch.no_grad():
        model[0].weight[0, 0] = math.nan
    assert find_non_finite(model) == "0.weight"
    assert find_non_finite(model, trainable_only=True) is None
