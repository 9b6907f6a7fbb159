"""Checkpoints from which a run goes on as if it had never stopped."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from maniplvm.files import write_json
from maniplvm.training.loop.clock import Clock

MARK = "complete.json"
"""Written last: a checkpoint without it was cut off and is not used."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes:
        folder: Where it lies.
        step: After which optimizer step it was made.
        seconds: Training time up to there.
    """

    folder: Path
    step: int
    seconds: float


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint in a folder; None if there is none."""
    whole = [found for path in folder.glob("checkpoint-*") if (found := _read(path)) is not None]
    return max(whole, key=lambda each: each.step, default=None)


def remove_others(folder: Path, keep: Checkpoint | None) -> None:
    """Remove what was cut off or comes after the checkpoint to go on from."""
    for path in folder.glob("checkpoint-*"):
        found = _read(path)
        if found is None or keep is None or found.step > keep.step:
            _remove(path)


def generation_boundary(config: Any) -> int:
    """After how many optimizer steps a GRPO run holds no completions that wait for an update.

    A checkpoint elsewhere would lose them.
    """
    generate_every = config.steps_per_generation * config.num_iterations
    accumulation = config.gradient_accumulation_steps
    return math.lcm(generate_every, accumulation) // accumulation


class Checkpoints(TrainerCallback):
    """Makes a checkpoint every so many steps, at boundaries only, and marks it when it is whole.

    Args:
        every: Optimizer steps between two checkpoints.
        boundary: Checkpoints are made at multiples of this.
        keep: How many stay; None keeps all.
        clock: Of the run.
        on_whole: Is called after each checkpoint, with its step; in the first process only.
    """

    def __init__(
        self,
        every: int,
        boundary: int,
        keep: int | None,
        clock: Clock,
        on_whole: Callable[[int], None],
    ) -> None:
        self._every = every
        self._boundary = boundary
        self._keep = keep
        self._clock = clock
        self._on_whole = on_whole
        self._last = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count from where the run goes on."""
        self._last = state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint when one is due."""
        due = state.global_step - self._last >= self._every
        if due and state.global_step % self._boundary == 0:
            self._last = state.global_step
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint once every process has written its part, then drop older ones."""
        processes = PartialState()
        processes.wait_for_everyone()
        if not processes.is_main_process:
            return
        root = Path(args.output_dir)
        folder = root / f"checkpoint-{state.global_step}"
        files = {
            str(path.relative_to(folder)): path.stat().st_size
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != MARK
        }
        mark = {"step": state.global_step, "seconds": self._clock.seconds, "files": files}
        write_json(folder / MARK, mark)
        if self._keep is not None:
            whole = [c for path in root.glob("checkpoint-*") if (c := _read(path)) is not None]
            for old in sorted(whole, key=lambda each: each.step)[: -max(1, self._keep)]:
                _remove(old.folder)
        self._on_whole(state.global_step)


def _read(folder: Path) -> Checkpoint | None:
    mark = folder / MARK
    if not mark.is_file():
        return None
    content = json.loads(mark.read_text(encoding="utf-8"))
    for name, size in content["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return None
    return Checkpoint(folder, int(content["step"]), float(content["seconds"]))


def _remove(folder: Path) -> None:
    """The mark goes first, so that a removal that is cut off leaves no whole-looking checkpoint."""
    (folder / MARK).unlink(missing_ok=True)
    shutil.rmtree(folder)
