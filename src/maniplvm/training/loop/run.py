"""One training run from recipe to model, resumable at any moment."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from maniplvm.errors import UserError
from maniplvm.optional import torch, transformers
from maniplvm.training.config.launch import is_sharded
from maniplvm.training.config.recipe import METHODS, Recipe
from maniplvm.training.config.trainer_settings import build_config
from maniplvm.training.loop.cpu_processes import is_missing_processes
from maniplvm.training.loop.run_folder import RunFolder, read_record


def train(
    recipe: Recipe,
    method: str,
    out: str | Path | None = None,
    *,
    command: Sequence[str] = (),
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a model; go on where an unfinished run of the same recipe was stopped.

    Args:
        recipe: From `read_recipe`.
        method: `sft` or `grpo`.
        out: The run folder; None is `runs/` and the recipe's name.
        command: How the run was started, for its record.
        console: Where progress is shown; None takes standard output.

    Returns:
        The content of the run's `run.json`. A run that is finished already only gives it back.

    Raises:
        UserError: whatever a user can fix: the recipe, its data or model, a folder that holds
            another run, a package that is not installed.
    """
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    folder = RunFolder(Path(out) if out is not None else Path("runs") / recipe.name)
    config = build_config(recipe, method, folder.root, _computes_on_cpu(recipe))
    if config.n_gpu > 1:
        raise UserError(
            f"{config.n_gpu} GPUs are visible to one process; start with `accelerate launch`, or "
            "set CUDA_VISIBLE_DEVICES to one of them"
        )
    if is_missing_processes(os.environ) and config.world_size == 1:
        raise UserError(
            "accelerate launch --cpu started one process only; start with `torchrun` instead"
        )
    shown = console if console is not None else Console()
    is_main = config.process_index == 0
    if is_main:
        folder.check(recipe, method)
    config.distributed_state.wait_for_everyone()
    if folder.is_finished():
        record = read_record(folder.root)
        if is_main:
            done = f"{folder.root}: finished already, {record['steps']} steps; nothing to do"
            shown.print(done, soft_wrap=True, markup=False)
        return record
    _quiet_libraries()
    from maniplvm.training.loop.session import Session

    with warnings.catch_warnings():
        # transformers renames its checkpointing of activations and still uses the old name itself
        warnings.filterwarnings("ignore", r"`is_gradient_checkpointing`", FutureWarning)
        return Session(recipe, method, folder, config, list(command), shown).execute()


def _computes_on_cpu(recipe: Recipe) -> bool:
    if recipe.trainer.get("use_cpu") or os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true":
        return True
    if not torch().cuda.is_available():
        return True
    return recipe.model.device == "cpu" and not is_sharded()


def _quiet_libraries() -> None:
    logging = transformers().utils.logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()
