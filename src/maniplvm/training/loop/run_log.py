"""`log.jsonl`: one line of plain numbers for every logged step."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from maniplvm.files import write_whole
from maniplvm.training.loop.clock import Clock
from maniplvm.training.loop.health_checks import CollapseWatch

RENAMED: Mapping[str, str] = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "reward": "reward",
    "reward_std": "reward_std",
    "entropy": "entropy",
    "kl": "kl",
    "completions/mean_length": "completion_length",
    "completions/clipped_ratio": "truncated",
    "clip_ratio/region_mean": "clipped",
    "frac_reward_zero_std": "groups_without_signal",
    "mean_token_accuracy": "token_accuracy",
    "step_time": "step_seconds",
}
"""TRL's names that a line takes over, and what they are called there."""

OURS = ("parse_rate", "format_rate", "answer_variety", "group_spread", "executions_lost")
"""Names that stay; so do all that begin with `reward/`."""


def log_line(logs: Mapping[str, Any], step: int, seconds: float) -> dict[str, float]:
    """What a line holds of what TRL logs: numbers by our names.

    Args:
        logs: As a `TrainerCallback` gets them.
        step: The optimizer step.
        seconds: Training time so far.
    """
    line: dict[str, float] = {"step": step, "seconds": round(seconds, 3)}
    for name, value in logs.items():
        kept = name in OURS or name.startswith("reward/")
        ours = name if kept else RENAMED.get(name)
        if ours is not None and isinstance(value, int | float):
            line[ours] = value
    return line


def read_log(path: Path) -> Iterator[dict[str, float]]:
    """The whole lines of a log; a last one that was cut off while written is left out."""
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if text.endswith("\n"):
            yield json.loads(text)


def cut_log(path: Path, step: int) -> None:
    """Drop the lines after a step: the run goes on from there."""
    if not path.is_file():
        return
    kept = [line for line in read_log(path) if line["step"] <= step]
    write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))


class RunLog(TrainerCallback):
    """Writes `log.jsonl` and watches it for signs of collapse; in the first process only.

    Args:
        path: The file; what it holds already is read, so that the watch goes on.
        clock: Of the run.
        on_line: Is given every line, with the number of steps of the whole run.
        on_warning: Is given every warning.

    Attributes:
        extra: Numbers that the next line holds besides TRL's.
        warnings: All so far.
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
        self._watch = CollapseWatch()
        self.extra: dict[str, float] = {}
        self.warnings = [text for line in read_log(path) for text in self._watch.observe(line)]

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        """Write a line for what TRL logs; its summary at the end of training is none."""
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        line = {**log_line(logs, state.global_step, self._clock.seconds), **self.extra}
        self.extra = {}
        finite = {name: value for name, value in line.items() if math.isfinite(value)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")
        self._on_line(line, state.max_steps)
        for text in self._watch.observe(line):
            self.warnings.append(text)
            self._on_warning(text)
