"""What our trainers replace must exist in TRL, or replacing it would do nothing."""

import pytest
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import SFTTrainer

from maniplvm.training.loop.trainers import QuietSFTTrainer, grpo_trainer_class


@pytest.mark.parametrize(
    ("base", "ours"),
    [(SFTTrainer, QuietSFTTrainer), (GRPOTrainer, grpo_trainer_class(GRPOTrainer))],
)
def test_every_method_that_is_replaced_is_one_of_trl_s(base, ours):
    mixins = [kind for kind in ours.__mro__ if kind.__module__ == "maniplvm.training.loop.trainers"]
    replaced = {name for kind in mixins for name, value in vars(kind).items() if callable(value)}
    assert {"create_model_card", "_send_telemetry", "_load_from_checkpoint"} < replaced
    assert [name for name in replaced if not hasattr(base, name)] == []
