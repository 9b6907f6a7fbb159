from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maniplvm.training.shared_prefix.row_order import (
    exchangeable_micro_batches,
    rows_by_prompt,
    take_rows,
)
from tests.training.shared_prefix.test_trainer import SharedTrainer, TrlTrainer, trainer_of

pytestmark = [
    # transformers 5.23 and TRL 1.16 warn about names that the other still uses.
    pytest.mark.filterwarnings("ignore:.*(gradient|activation)_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


def config_of(loss_type="dr_grpo", steps=4, accumulated=2, **options):
    defaults = {"entropy_coef": 0.0, "use_adaptive_entropy": False, "top_entropy_quantile": 1.0}
    return SimpleNamespace(
        loss_type=loss_type,
        steps_per_generation=steps,
        gradient_accumulation_steps=accumulated,
        **{**defaults, **options},
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (config_of(steps=4, accumulated=4), 4),
        (config_of(steps=2, accumulated=8), 2),
        (config_of(steps=4, accumulated=2), 2),
        (config_of(steps=3, accumulated=2), 1),
        (config_of("bnpo", 4, 4), 1),
        (config_of("a loss of a later TRL", 4, 4), 1),
        (config_of(steps=4, accumulated=4, entropy_coef=0.01), 1),
        (config_of(steps=4, accumulated=4, use_adaptive_entropy=True), 1),
        (config_of(steps=4, accumulated=4, top_entropy_quantile=0.2), 1),
    ],
)
def test_rows_change_places_only_where_the_update_stays_the_same(config, expected):
    assert exchangeable_micro_batches(config) == expected


@pytest.mark.parametrize("window", [1, 4, 12, 24])
def test_each_window_keeps_its_rows_and_has_the_rows_of_a_prompt_together(window):
    prompts = np.random.default_rng(window).integers(0, 5, 24).tolist()
    order = rows_by_prompt(prompts, window)
    for start in range(0, 24, window):
        rows = order[start : start + window]
        assert sorted(rows) == list(range(start, start + window))
        changes = sum(prompts[a] != prompts[b] for a, b in pairwise(rows))
        assert changes == len({prompts[row] for row in rows}) - 1


def test_all_fields_of_a_batch_take_the_same_order():
    batch = {
        "ids": torch.arange(8).view(4, 2),
        "names": list("abcd"),
        "total": torch.tensor(5),
        "nothing": None,
    }
    moved = take_rows(batch, [2, 0, 3, 1])
    assert moved["ids"][:, 0].tolist() == [4, 0, 6, 2]
    assert moved["names"] == list("cadb")
    assert moved["total"] == 5
    assert moved["nothing"] is None


def micro_batches(kind, loaded, folder, **options):
    """The rows of each micro-batch, each as prompt tokens, completion tokens and advantage."""
    seen = []

    class Recording(kind):
        def _compute_loss(self, model, inputs):
            ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1).tolist()
            advantages = inputs["advantages"].tolist()
            seen.append([(*row, value) for row, value in zip(ids, advantages, strict=True)])
            return super()._compute_loss(model, inputs)

    trainer_of(Recording, loaded("qwen2_5_vl"), folder, **options).train()
    return seen


@pytest.mark.parametrize("loss_type", ["dr_grpo", "bnpo"])
def test_every_optimizer_step_has_the_rows_that_trl_gives_it(loaded, tmp_path, loss_type):
    options = {
        "per_device_train_batch_size": 4,
        "steps_per_generation": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": 4,
        "loss_type": loss_type,
    }
    theirs = micro_batches(TrlTrainer, loaded, tmp_path, **options)
    ours = micro_batches(SharedTrainer, loaded, tmp_path, **options)
    assert len(theirs) == len(ours) == 8
    size = 1 if loss_type == "bnpo" else 2  # bnpo divides by the tokens of a micro-batch
    for first in range(0, 8, size):
        expected, found = (
            sorted(row for micro_batch in each[first : first + size] for row in micro_batch)
            for each in (theirs, ours)
        )
        assert found == expected
    assert any(ours[k] != theirs[k] for k in range(8)), "no row has moved"
