"""Everything about a run that can be told, and refused, before any weights are loaded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.models import ModelInterface, count_parameters, load_interface
from maniplvm.rewards.doctor.diagnose import Diagnosis, diagnose
from maniplvm.tasks import Sample
from maniplvm.training.config.launch import Launch
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.config.trainer_settings import check_trainer
from maniplvm.training.data.pool import SamplePool, chosen_samples, open_pool
from maniplvm.training.data.rows import prompts_of
from maniplvm.training.dry_run.memory import MemoryEstimate
from maniplvm.training.dry_run.plan import (
    is_for_gpu,
    planned_memory,
    planned_settings,
    planned_skeleton,
    stored_dtype,
)
from maniplvm.training.dry_run.token_lengths import Spread, TokenLengths, measure_lengths
from maniplvm.training.dry_run.warnings import Forecast, foresee
from maniplvm.training.loop.run_folder import RunFolder
from maniplvm.training.loop.schedule import schedule

EXAMINED = 100
"""Samples of each task that the reward doctor sees: enough for its findings, about a second."""


@dataclass(frozen=True)
class DryRun:
    """What a run would do. Printing it with rich shows a page.

    Attributes:
        name: Of the recipe.
        method: `sft` or `grpo`.
        source: The model.
        parameters: How many it has and how many learn, in words.
        launch: The processes.
        on_gpu: Whether it is meant for GPUs.
        samples: Of the recipe's own data set, by task.
        mixed: Prompts of an epoch that come from elsewhere.
        prompts_per_step: Prompts that one optimizer step learns from, all processes together.
        completions_per_step: Their completions; the same number for supervision.
        steps_per_epoch: Optimizer steps until every prompt was used once.
        steps: Of the whole run.
        lengths: Tokens of every sample.
        limits: Longest completion (GRPO) or sequence (SFT) that the trainer takes, or None.
        memory: On each GPU.
        diagnoses: The reward doctor's, by task.
        writes: What would be written, and where.
        warnings: What is likely to go wrong.
    """

    name: str
    method: str
    source: str
    parameters: str
    launch: Launch
    on_gpu: bool
    samples: dict[str, int]
    mixed: int
    prompts_per_step: int
    completions_per_step: int
    steps_per_epoch: float
    steps: int
    lengths: TokenLengths
    limits: int | None
    memory: MemoryEstimate
    diagnoses: tuple[Diagnosis, ...]
    writes: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        lengths = {
            name: vars(Spread.of(getattr(self.lengths, name)))
            for name in ("image", "prompt", "target")
        }
        return {
            "name": self.name,
            "method": self.method,
            "source": self.source,
            "parameters": self.parameters,
            "launch": str(self.launch),
            "samples": self.samples,
            "mixed": self.mixed,
            "prompts_per_step": self.prompts_per_step,
            "completions_per_step": self.completions_per_step,
            "steps_per_epoch": round(self.steps_per_epoch, 2),
            "steps": self.steps,
            "tokens": lengths,
            "longest_allowed": self.limits,
            "memory_gib": self.memory.to_json(),
            "rewards": {str(each.task): each.healthy for each in self.diagnoses},
            "writes": list(self.writes),
            "warnings": list(self.warnings),
        }

    def __rich_console__(self, console: Any, options: Any) -> Any:
        """How rich prints it."""
        from maniplvm.training.dry_run.page import page

        yield from page(self)


def check(
    recipe: Recipe, method: str, launch: Launch | None = None, out: str | Path | None = None
) -> DryRun:
    """Validate a recipe and say what it would do; needs `config.json`, processor and tokenizer.

    Args:
        recipe: From `read_recipe`.
        method: `sft` or `grpo`.
        launch: How it will be started; None is one process.
        out: The run folder; None is `runs/` and the recipe's name.

    Raises:
        UserError: anything because of which the run could not start, in one line.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "a dry run is one process: leave `accelerate launch` out, and name its config file "
            "with --launch"
        )
    launch = launch or Launch()
    folder = RunFolder(Path(out) if out is not None else Path("runs") / recipe.name)
    check_trainer(recipe, method)
    config = planned_settings(recipe, method, folder.root, launch)
    pool = open_pool(recipe)
    samples = chosen_samples(recipe)
    interface = load_interface(recipe.model.source, **recipe.model.interface_arguments())
    lengths = measure_lengths([*samples, *_mixed(recipe)], interface, prompts_of(recipe, interface))
    plan = schedule(config, method, pool.order.epoch_length)
    skeleton = planned_skeleton(recipe)
    completions = config.per_device_train_batch_size * config.gradient_accumulation_steps
    group = config.num_generations if method == "grpo" else 1
    memory = planned_memory(recipe, method, config, skeleton, lengths, launch)
    diagnoses = _diagnosed(recipe, samples, interface) if method == "grpo" else ()
    limit = config.max_completion_length if method == "grpo" else config.max_length
    forecast = Forecast(
        recipe=recipe,
        method=method,
        config=config,
        launch=launch,
        dtype=stored_dtype(recipe),
        interface=interface,
        samples=samples,
        lengths=lengths,
        memory=memory,
        diagnoses=diagnoses,
        steps=plan.steps,
    )
    return DryRun(
        name=recipe.name,
        method=method,
        source=recipe.model.source,
        parameters=str(count_parameters(skeleton)),
        launch=launch,
        on_gpu=is_for_gpu(recipe),
        samples=dict(sorted(Counter(str(sample.task) for sample in samples).items())),
        mixed=pool.order.epoch_length - pool.own_count,
        prompts_per_step=completions // group,
        completions_per_step=completions,
        steps_per_epoch=_steps_per_epoch(method, config, pool),
        steps=plan.steps,
        lengths=lengths,
        limits=limit,
        memory=memory,
        diagnoses=diagnoses,
        writes=_writes(recipe, folder, launch),
        warnings=tuple(foresee(forecast)),
    )


def _steps_per_epoch(method: str, config: Any, pool: SamplePool) -> float:
    completions = config.per_device_train_batch_size * config.gradient_accumulation_steps
    if method == "sft":
        return pool.order.epoch_length / completions
    rows = pool.order.epoch_length * config.num_generations * config.num_iterations
    return rows / completions


def _mixed(recipe: Recipe) -> list[Sample]:
    return [
        sample
        for source in recipe.data.mix
        for sample in open_dataset(Path(source.path)).samples(source.split, images=False)
        if sample.task in recipe.tasks
    ]


def _diagnosed(
    recipe: Recipe, samples: Sequence[Sample], interface: ModelInterface
) -> tuple[Diagnosis, ...]:
    rng = np.random.default_rng(recipe.seed)
    found = list[Diagnosis]()
    for task in recipe.tasks:
        mine = [sample for sample in samples if sample.task is task]
        picked = [mine[i] for i in rng.permutation(len(mine))[:EXAMINED].tolist()]
        if picked and any(name != "format" for name in recipe.preset.terms(task)):
            found.append(diagnose(picked, recipe.preset, rng, interface.frame_spec))
    return tuple(found)


def _writes(recipe: Recipe, folder: RunFolder, launch: Launch) -> tuple[str, ...]:
    sheets = recipe.monitor.samples_every
    adapted = recipe.model.lora is not None
    model = folder.adapter if adapted and launch.sharding.splits_weights else folder.model
    return (
        f"{folder.recipe}, {folder.record.name}, {folder.log.name}",
        *((f"{folder.completions}: a sheet every {sheets} steps",) if sheets else ()),
        f"{folder.checkpoints}: every {recipe.trainer.get('save_steps', 50)} steps",
        f"{model}: the trained {'adapter' if model == folder.adapter else 'model'}",
    )
