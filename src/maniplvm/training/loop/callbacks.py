"""Callbacks of a run: checkpoints, `log.jsonl`, and the time limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast
from transformers import TrainerCallback

from maniplvm.files import append_record
from maniplvm.training.loop.checkpoints import mark_complete, remove_old_checkpoints
from maniplvm.training.loop.health_checks import HealthChecks
from maniplvm.training.loop.progress import Clock
from maniplvm.training.loop.run_log import log_line, read_log


class CheckpointCallback(TrainerCallback):
    """Writes a checkpoint every `every` steps, and marks it when it is complete.

    Args:
        every: Optimizer steps between two checkpoints.
        boundary: Checkpoints are written only at multiples of this step count.
        keep: Number of checkpoints that are kept; None keeps all.
        clock: The clock of the run.
        log: The log of the run.
        on_complete: Called after each checkpoint with its step, in the main process only.
    """

    def __init__(
        self,
        every: int,
        boundary: int,
        keep: int | None,
        clock: Clock,
        log: Path,
        on_complete: Callable[[int], None],
    ) -> None:
        self._every = every
        self._boundary = boundary
        self._keep = keep
        self._clock = clock
        self._log = log
        self._on_complete = on_complete
        self._last = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count steps from where the run starts or resumes."""
        self._last = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Request a checkpoint when one is due."""
        due = state.global_step - self._last >= self._every
        if due and state.global_step % self._boundary == 0:
            self._last = state.global_step
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint once every process has written its part, then remove old ones."""
        processes = PartialState()
        processes.wait_for_everyone()
        if not processes.is_main_process:
            return
        root, step = Path(args.output_dir), state.global_step
        mark_complete(root / f"checkpoint-{step}", step, self._clock.seconds, self._log)
        if self._keep is not None:
            remove_old_checkpoints(root, self._keep)
        self._on_complete(step)


class LogCallback(TrainerCallback):
    """Writes `log.jsonl` and runs the health checks on it, in the main process only.

    Args:
        path: The file. The health checks read the lines that it already holds.
        clock: The clock of the run.
        on_line: Called with every line and the number of steps of the whole run.
        on_warning: Called with every warning.

    Attributes:
        extra: Metrics for the next line besides those of TRL.
        warnings: All warnings so far.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        on_line: Callable[[Mapping[str, float], int], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self._path = path
        self._clock = clock
        self._on_line = on_line
        self._on_warning = on_warning
        self._checks = HealthChecks()
        self.extra: dict[str, float] = {}
        self.warnings = [text for line in read_log(path) for text in self._checks.observe(line)]

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Write a line for the metrics of a step; TRL's summary of the whole run is skipped."""
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        line = {**log_line(logs, state.global_step, self._clock.seconds), **self.extra}
        self.extra = {}
        finite = {name: value for name, value in line.items() if math.isfinite(value)}
        append_record(self._path, finite)
        self._on_line(line, state.max_steps)
        for text in self._checks.observe(line):
            self.warnings.append(text)
            self._on_warning(text)


class TimeLimitCallback(TrainerCallback):
    """Ends training at the first step after a time limit, in all processes at the same step.

    Args:
        seconds: The time limit [s].
        clock: The clock of the run.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the run when the time limit is reached."""
        over = self._clock.seconds >= self._seconds
        if PartialState().num_processes > 1:  # clocks differ; the first process decides
            answer: Any = broadcast(torch.tensor([int(over)], device=PartialState().device))
            over = bool(answer.item())
        if over:
            control.should_training_stop = True
