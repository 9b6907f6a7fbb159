"""Files of a run that hold weights: checkpoints to resume from, and the trained model."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maniplvm.files import file_sizes, has_sizes, replacing, sync, write_json
from maniplvm.models import LoadedModel
from maniplvm.training.loop.run_folder import RunFolder

COMPLETE = "complete.json"
"""Written last into a checkpoint. A checkpoint without it is incomplete and is not used."""

_PICKLED = "training_args.bin"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        folder: The folder of the checkpoint.
        step: The optimizer step after which it was written.
        seconds: Training time until then.
        log_lines: Number of lines that `log.jsonl` had.
    """

    folder: Path
    step: int
    seconds: float
    log_lines: int = 0


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest complete checkpoint in a folder; None if there is none."""
    return max(_complete_checkpoints(folder), key=lambda each: each.step, default=None)


def remove_unusable_checkpoints(folder: Path, resumed: Checkpoint | None) -> None:
    """Remove checkpoints that are incomplete or newer than the one the run resumes from."""
    for path in folder.glob("checkpoint-*"):
        found = _read(path)
        if found is None or resumed is None or found.step > resumed.step:
            _remove(path)


def remove_old_checkpoints(folder: Path, keep: int) -> None:
    """Remove all complete checkpoints but the newest `keep`, at least one."""
    complete = sorted(_complete_checkpoints(folder), key=lambda each: each.step)
    for old in complete[: -max(1, keep)]:
        _remove(old.folder)


def mark_complete(folder: Path, step: int, seconds: float, log: Path) -> None:
    """Write the list of files that makes a checkpoint complete.

    Args:
        folder: The checkpoint.
        step: The optimizer step after which it was written.
        seconds: Training time until then.
        log: The log of the run, which may be missing.
    """
    sync(folder)
    lines = 0
    if log.is_file():
        sync(log)
        lines = log.read_bytes().count(b"\n")
    files = {name: size for name, size in file_sizes(folder).items() if name != COMPLETE}
    write_json(
        folder / COMPLETE, {"step": step, "seconds": seconds, "log_lines": lines, "files": files}
    )


def generation_boundary(config: Any) -> int:
    """Optimizer steps between two points at which GRPO has no unused completions.

    A checkpoint at any other step would lose completions that still wait for an update.

    Args:
        config: A `trl.GRPOConfig`.
    """
    generate_every = config.steps_per_generation * config.num_iterations
    accumulation = config.gradient_accumulation_steps
    return math.lcm(generate_every, accumulation) // accumulation


def save_trained(trainer: Any, loaded: LoadedModel, folder: RunFolder, is_sharded: bool) -> Path:
    """Write the trained weights; must be called in every process.

    A trained adapter is written to `adapter/` and also merged, so that `model/` is always a whole
    model.

    Args:
        trainer: The trainer after training.
        loaded: The model that it trained.
        folder: The folder of the run.
        is_sharded: Whether no process holds all weights. Then an adapter is not merged.

    Returns:
        The folder of the model, or of the adapter if it was not merged.
    """
    is_adapter = hasattr(trainer.model, "get_base_model")
    if is_sharded:
        target = folder.adapter if is_adapter else folder.model
        trainer.save_model(str(target))
        if trainer.is_world_process_zero():
            loaded.processor.save_pretrained(target)
            (target / _PICKLED).unlink(missing_ok=True)
        return target
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        if is_adapter:
            if "ref" in model.peft_config:  # TRL's copy of the untrained adapter
                model.delete_adapter("ref")
            _write_model(replace(loaded, model=model), folder.adapter)
            model = model.merge_and_unload()
        _write_model(replace(loaded, model=model), folder.model)
    trainer.accelerator.wait_for_everyone()
    return folder.model


def save_reference(loaded: LoadedModel, folder: RunFolder) -> None:
    """Write the starting model, from which TRL loads the reference of the KL penalty."""
    if not folder.reference.is_dir():
        _write_model(loaded, folder.reference)


def _write_model(loaded: LoadedModel, target: Path) -> None:
    with replacing(target) as unfinished:
        loaded.save(unfinished)


def _complete_checkpoints(folder: Path) -> Iterator[Checkpoint]:
    for path in folder.glob("checkpoint-*"):
        found = _read(path)
        if found is not None:
            yield found


def _read(folder: Path) -> Checkpoint | None:
    """The checkpoint; None if it is incomplete or damaged."""
    try:
        content = json.loads((folder / COMPLETE).read_bytes())
        is_complete = has_sizes(folder, content["files"])
        found = Checkpoint(
            folder,
            int(content["step"]),
            float(content["seconds"]),
            int(content.get("log_lines", 0)),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return found if is_complete else None


def _remove(folder: Path) -> None:
    """Remove the mark first: an interrupted removal must not leave a complete-looking folder."""
    (folder / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(folder)
