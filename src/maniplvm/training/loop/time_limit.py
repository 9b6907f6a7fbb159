"""A run that ends after so much training time, its schedule unchanged."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast
from transformers import TrainerCallback

from maniplvm.training.loop.clock import Clock


class TimeLimit(TrainerCallback):
    """Ends training at the first step after the limit, in all processes at once.

    Args:
        seconds: The limit.
        clock: Of the run.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self.reached = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the run when its time is up."""
        over = self._clock.seconds >= self._seconds
        if PartialState().num_processes > 1:  # clocks differ; the first process decides
            answer: Any = broadcast(torch.tensor([int(over)], device=PartialState().device))
            over = bool(answer.item())
        if over:
            self.reached = True
            control.should_training_stop = True
