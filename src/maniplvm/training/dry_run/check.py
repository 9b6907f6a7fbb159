"""The dry run: checks a recipe and reports what a run would do, before weights are loaded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.models import ModelInterface, count_parameters, load_interface
from maniplvm.rewards.doctor.diagnose import Diagnosis, diagnose
from maniplvm.tasks import Sample
from maniplvm.training.config.launch import Launch, planned_launch
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.config.trainer_settings import (
    compute_schedule,
    effective_precision,
    plan_config,
    targets_gpu,
)
from maniplvm.training.data.pool import SamplePool, chosen_samples, open_pool
from maniplvm.training.data.rows import recipe_prompts
from maniplvm.training.dry_run.memory import MemoryEstimate
from maniplvm.training.dry_run.offline import model_description
from maniplvm.training.dry_run.plan import memory_of_config, plan_dtype, plan_model
from maniplvm.training.dry_run.token_lengths import LengthSummary, TokenLengths, measure_lengths
from maniplvm.training.dry_run.warnings import PlannedRun, find_warnings
from maniplvm.training.loop.run_folder import RunFolder

EXAMINED = 100
"""Samples of each task that the reward doctor checks; this takes about a second."""


@dataclass(frozen=True)
class DryRun:
    """What a run would do; `render_report` shows it in the terminal.

    Attributes:
        name: Name of the recipe.
        method: `sft` or `grpo`.
        source: The model.
        parameters: Number of all and of trained parameters, in words.
        launch: The processes and their sharding.
        on_gpu: Whether the run would compute on GPUs.
        rows: Completions (SFT: samples) of one forward and backward pass of one process.
        precision: Mixed precision of the computation: `no`, `fp16` or `bf16`.
        samples: Number of samples of the recipe's own data set, by task.
        mixed: Prompts of an epoch that come from `data.mix`.
        prompts_per_step: Prompts of one optimizer step, all processes together.
        completions_per_step: Completions of one optimizer step; for SFT the number of prompts.
        steps_per_epoch: Optimizer steps until every prompt was used once.
        steps: Optimizer steps of the whole run.
        lengths: Token counts of every sample.
        limits: Maximum tokens of a completion (GRPO) or sequence (SFT); None is no limit.
        memory: Memory on each GPU.
        diagnoses: Results of the reward doctor, one for each task.
        writes: Files that the run would write.
        warnings: Problems that are likely in this run.
    """

    name: str
    method: str
    source: str
    parameters: str
    launch: Launch
    on_gpu: bool
    rows: int
    precision: str
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
        """The results as JSON values."""
        lengths = {
            name: vars(LengthSummary.of(getattr(self.lengths, name)))
            for name in ("image", "prompt", "target")
        }
        return {
            "name": self.name,
            "method": self.method,
            "source": self.source,
            "parameters": self.parameters,
            "launch": str(self.launch),
            "batch_per_device": self.rows,
            "mixed_precision": self.precision,
            "samples": self.samples,
            "mixed": self.mixed,
            "prompts_per_step": self.prompts_per_step,
            "completions_per_step": self.completions_per_step,
            "steps_per_epoch": round(self.steps_per_epoch, 2),
            "steps": self.steps,
            "tokens": lengths,
            "longest_allowed": self.limits,
            "memory_gib": self.memory.to_json(),
            "rewards": {str(each.task): each.passed for each in self.diagnoses},
            "writes": list(self.writes),
            "warnings": list(self.warnings),
        }


def check(
    recipe: Recipe, method: str, launch: Launch | None = None, out: str | Path | None = None
) -> DryRun:
    """Check a recipe without weights.

    `config.json`, processor and tokenizer are read. If they cannot be downloaded, the shipped sizes
    of a known model take their place.

    Args:
        recipe: The recipe.
        method: `sft` or `grpo`.
        launch: How the run will be launched; None is as the recipe says.
        out: The run folder; None is `runs/` and the recipe's name.

    Raises:
        UserError: the run could not start; the message is one line.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "a dry run needs one process only: run it without `accelerate launch`; the recipe's "
            "key launch, or --launch, names the config file of accelerate"
        )
    launch = launch or planned_launch(recipe.launch)
    with model_description(recipe) as (described, note):
        run = _check_described(described, method, launch, out)
    warnings = run.warnings if note is None else (note, *run.warnings)
    return replace(run, source=recipe.model.source, warnings=warnings)


def _check_described(recipe: Recipe, method: str, launch: Launch, out: str | Path | None) -> DryRun:
    """The dry run of a recipe whose model has a readable config and processor."""
    folder = RunFolder(Path(out) if out is not None else Path("runs") / recipe.name)
    config = plan_config(recipe, method, folder.root, launch)
    pool = open_pool(recipe)
    samples = chosen_samples(recipe)
    interface = load_interface(recipe.model.source, **recipe.model.interface_arguments())
    lengths = measure_lengths(
        [*samples, *_mixed_samples(recipe)], interface, recipe_prompts(recipe, interface)
    )
    schedule = compute_schedule(config, method, pool.order.epoch_length)
    meta_model = plan_model(recipe)
    completions = config.per_device_train_batch_size * config.gradient_accumulation_steps
    group = config.num_generations if method == "grpo" else 1
    memory = memory_of_config(recipe, method, config, meta_model, lengths, launch)
    diagnoses = _diagnose(recipe, samples, interface) if method == "grpo" else ()
    limit = config.max_completion_length if method == "grpo" else config.max_length
    planned = PlannedRun(
        recipe=recipe,
        method=method,
        config=config,
        launch=launch,
        dtype=plan_dtype(recipe),
        interface=interface,
        samples=samples,
        lengths=lengths,
        memory=memory,
        diagnoses=diagnoses,
        steps=schedule.steps,
    )
    return DryRun(
        name=recipe.name,
        method=method,
        source=recipe.model.source,
        parameters=str(count_parameters(meta_model)),
        launch=launch,
        on_gpu=targets_gpu(recipe) and not launch.on_cpu,
        rows=config.per_device_train_batch_size // launch.processes,
        precision=effective_precision(config, launch),
        samples=dict(sorted(Counter(str(sample.task) for sample in samples).items())),
        mixed=pool.order.epoch_length - pool.own_count,
        prompts_per_step=completions // group,
        completions_per_step=completions,
        steps_per_epoch=_steps_per_epoch(method, config, pool),
        steps=schedule.steps,
        lengths=lengths,
        limits=limit,
        memory=memory,
        diagnoses=diagnoses,
        writes=_files(recipe, config, folder, launch),
        warnings=tuple(find_warnings(planned)),
    )


def _steps_per_epoch(method: str, config: Any, pool: SamplePool) -> float:
    completions = config.per_device_train_batch_size * config.gradient_accumulation_steps
    if method == "sft":
        return pool.order.epoch_length / completions
    rows = pool.order.epoch_length * config.num_generations * config.num_iterations
    return rows / completions


def _mixed_samples(recipe: Recipe) -> list[Sample]:
    return [
        sample
        for source in recipe.data.mix
        for sample in open_dataset(Path(source.path)).samples(source.split, images=False)
        if sample.task in recipe.tasks
    ]


def _diagnose(
    recipe: Recipe, samples: Sequence[Sample], interface: ModelInterface
) -> tuple[Diagnosis, ...]:
    rng = np.random.default_rng(recipe.seed)
    found = list[Diagnosis]()
    for task in recipe.tasks:
        of_task = [sample for sample in samples if sample.task is task]
        picked = [of_task[i] for i in rng.permutation(len(of_task))[:EXAMINED].tolist()]
        if picked and any(name != "format" for name in recipe.preset.terms(task)):
            found.append(diagnose(picked, recipe.preset, rng, interface.frame_spec))
    return tuple(found)


def _files(recipe: Recipe, config: Any, folder: RunFolder, launch: Launch) -> tuple[str, ...]:
    samples_every = recipe.monitor.samples_every
    has_adapter = recipe.model.lora is not None
    model = folder.adapter if has_adapter and launch.sharding.splits_weights else folder.model
    return (
        f"{folder.recipe}, {folder.record.name}, {folder.log.name}",
        *((f"{folder.completions}: samples every {samples_every} steps",) if samples_every else ()),
        f"{folder.checkpoints}: every {config.save_steps:g} steps",
        f"{model}: the trained {'adapter' if model == folder.adapter else 'model'}",
    )
