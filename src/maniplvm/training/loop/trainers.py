"""TRL's trainers, with what a resumable and quiet run needs."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PrinterCallback
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import SFTTrainer


class _Quiet:
    """Neither prints dictionaries, nor writes model cards, nor reports its use to anyone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # type: ignore[attr-defined]

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """No card: `run.json` says what was done."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load whole weights under the names that the model has now.

        `Trainer` reads a checkpoint's own names and ignores those that do not fit. Qwen2.5-VL is
        saved under older names than it has in memory, so nothing at all would be loaded.
        """
        trainer: Any = self
        is_plain = not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)
        if not is_plain or hasattr(trainer.model, "get_base_model"):
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        policy = trainer.accelerator.unwrap_model(trainer.model if model is None else model)
        saved = type(policy).from_pretrained(resume_from_checkpoint, dtype=policy.dtype)
        policy.load_state_dict(saved.state_dict())

    def _send_telemetry(self) -> None:
        """Training works offline and tells nobody."""


class _GroupSpread:
    """Logs how far the rewards of a group lie apart; TRL logs that of all rewards together."""

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        rewards = super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]
        trainer: Any = self
        if not torch.isfinite(rewards).all():
            raise ValueError("a reward is missing or not finite; TRL would leave it out silently")
        totals = (rewards * trainer.reward_weights.to(rewards.device)).sum(dim=1)
        spread = totals.view(-1, trainer.num_generations).std(dim=1).mean().item()
        trainer._metrics["train"]["group_spread"].append(spread)
        return rewards


class QuietSFTTrainer(_Quiet, SFTTrainer):
    """`trl.SFTTrainer` for our runs."""


def grpo_trainer_class(base: type[GRPOTrainer]) -> type[GRPOTrainer]:
    """`trl.GRPOTrainer`, or a class made of it, for our runs.

    Args:
        base: The class.
    """
    return type("QuietGRPOTrainer", (_Quiet, _GroupSpread, base), {})
