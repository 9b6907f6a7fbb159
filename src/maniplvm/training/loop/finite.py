"""Stops a run when its loss or its weights are not finite, before anything of that step is saved."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from transformers import TrainerCallback

from maniplvm.errors import UserError
from maniplvm.models import find_non_finite
from maniplvm.training.loop.checkpoints import latest_checkpoint
from maniplvm.training.loop.run_folder import RunFolder

_SAMPLING_FAILED = "probability tensor contains"
"""PyTorch's message when `torch.multinomial` gets NaN or infinite probabilities."""
_ASSERT_FAILED = "device-side assert"
"""The same failure on a GPU."""


class FiniteLoss:
    """A trainer that notes losses which are not finite, and logits that cannot be sampled.

    A mixin for `transformers.Trainer`, to be placed before it.

    Attributes:
        non_finite: What was not finite in this process since training started; empty if nothing.
    """

    non_finite: str = ""

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Train on a batch, and note its loss if it is not finite."""
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if not bool(torch.isfinite(loss).all()):
            self.non_finite = "the loss"
        return loss

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        try:
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        except RuntimeError as error:
            if _SAMPLING_FAILED not in str(error) and _ASSERT_FAILED not in str(error):
                raise
            trainer: Any = self
            step = trainer.state.global_step + 1
            raise UserError(_message("a logit of the policy", step, trainer.args)) from error


class FiniteCheck(TrainerCallback):
    """Ends a run with an error at the first step whose loss or weights are not finite.

    It must stand before callbacks that save. All processes decide together.

    Args:
        trainer: A trainer with `FiniteLoss`.
        folder: The folder of the run.
    """

    def __init__(self, trainer: Any, folder: RunFolder) -> None:
        self._trainer = trainer
        self._folder = folder

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check the step.

        Raises:
            UserError: the loss or a trained weight is not finite. The line names the step, the
                usual causes and the last checkpoint.
        """
        found = self._trainer.non_finite
        if not found:
            name = find_non_finite(self._trainer.model, trainable_only=True)
            found = "" if name is None else f"the weight {name}"
        if _is_any(bool(found)):
            found = found or "the loss or a weight in another process"
            raise UserError(_message(found, state.global_step, args, self._folder))


def _is_any(here: bool) -> bool:
    """Whether a condition holds in any process."""
    if PartialState().num_processes == 1:
        return here
    total: Any = reduce(torch.tensor([int(here)], device=PartialState().device), "sum")
    return bool(total.item())


def _message(found: str, step: int, args: Any, folder: RunFolder | None = None) -> str:
    causes = [f"a learning rate that is too high (trainer.learning_rate {args.learning_rate:g})"]
    if not args.max_grad_norm:
        causes.append("no gradient clipping (trainer.max_grad_norm 0)")
    if args.fp16:
        causes.append("the range of float16 (trainer.bf16 instead of fp16)")
    checkpoint = None if folder is None else latest_checkpoint(folder.checkpoints)
    saved = "; no weights of this step are saved"
    if checkpoint is not None:
        saved += f", the last checkpoint is {checkpoint.folder}"
    return f"step {step}: {found} is not finite; usual causes: {', '.join(causes)}{saved}"
