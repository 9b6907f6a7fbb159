"""Everything about a run that can be told, and refused, before any weights are loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.models import ModelInterface, build_skeleton, count_parameters, load_interface
from maniplvm.rewards.doctor import Diagnosis, diagnose
from maniplvm.tasks import Sample
from maniplvm.training.activations import Workload
from maniplvm.training.forecast import Forecast, foresee
from maniplvm.training.launch import Launch, current_launch
from maniplvm.training.memory import MemoryEstimate, Training, estimate_memory
from maniplvm.training.pool import SamplePool, chosen_samples, open_pool
from maniplvm.training.questions import prompts_of
from maniplvm.training.recipe import Recipe
from maniplvm.training.run_folder import RunFolder
from maniplvm.training.schedule import schedule
from maniplvm.training.token_lengths import Spread, TokenLengths, measure_lengths
from maniplvm.training.trainer_settings import build_config, check_trainer

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
        from maniplvm.training.dry_run_page import page

        yield from page(self)


def check(
    recipe: Recipe, method: str, launch: Launch | None = None, out: str | Path | None = None
) -> DryRun:
    """Validate a recipe and say what it would do; needs `config.json`, processor and tokenizer.

    Args:
        recipe: From `read_recipe`.
        method: `sft` or `grpo`.
        launch: How it will be started; None takes what this process was started with.
        out: The run folder; None is `runs/` and the recipe's name.

    Raises:
        UserError: anything because of which the run could not start, in one line.
    """
    launch = launch or current_launch()
    folder = RunFolder(Path(out) if out is not None else Path("runs") / recipe.name)
    check_trainer(recipe, method)
    config = _settings(recipe, method, folder.root, launch)
    pool = open_pool(recipe)
    samples = chosen_samples(recipe)
    interface = load_interface(recipe.model.source, **recipe.model.interface_arguments())
    lengths = measure_lengths([*samples, *_mixed(recipe)], interface, prompts_of(recipe, interface))
    plan = schedule(config, method, pool.order.epoch_length)
    skeleton = _skeleton(recipe)
    completions = config.per_device_train_batch_size * config.gradient_accumulation_steps
    group = config.num_generations if method == "grpo" else 1
    memory = estimate_memory(
        skeleton,
        _workload(recipe, method, config, lengths, launch),
        _training(recipe, method, config),
        launch,
    )
    diagnoses = _diagnosed(recipe, samples, interface) if method == "grpo" else ()
    limit = config.max_completion_length if method == "grpo" else config.max_length
    forecast = Forecast(
        recipe, method, config, launch, interface, samples, lengths, memory, diagnoses, plan.steps
    )
    return DryRun(
        name=recipe.name,
        method=method,
        source=recipe.model.source,
        parameters=str(count_parameters(skeleton)),
        launch=launch,
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


def _settings(recipe: Recipe, method: str, root: Path, launch: Launch) -> Any:
    """TRL's settings as all processes together have them, without asking for a GPU.

    One process stands for all: its batch is all of theirs, so that TRL's own checks of how
    batches and groups divide hold for the launch that is meant.
    """
    trainer = dict(recipe.trainer)
    each = trainer.get("per_device_train_batch_size", 8)
    trainer |= {
        "per_device_train_batch_size": each * launch.processes,
        "bf16": False,
        "fp16": False,
        "tf32": None,
        "use_cpu": True,
    }
    config = build_config(replace(recipe, trainer=trainer), method, root, on_cpu=True)
    config.gradient_checkpointing = recipe.trainer.get("gradient_checkpointing", True)
    return config


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


def _skeleton(recipe: Recipe) -> Any:
    model = recipe.model
    return build_skeleton(
        model.source,
        dtype="bfloat16" if model.dtype == "auto" else model.dtype,
        lora=model.lora,
        freeze_vision=model.freeze_vision,
        revision=model.revision,
        trust_remote_code=model.trust_remote_code,
    )


def _training(recipe: Recipe, method: str, config: Any) -> Training:
    lora = recipe.model.lora
    return Training(
        autocast=recipe.trainer.get("bf16", True) or recipe.trainer.get("fp16", False),
        checkpointing=bool(config.gradient_checkpointing),
        optimizer=str(getattr(config.optim, "value", config.optim)),
        reference=method == "grpo" and config.beta != 0,
        adapters=() if lora is None else lora.targets,
    )


def _workload(
    recipe: Recipe, method: str, config: Any, lengths: TokenLengths, launch: Launch
) -> Workload:
    """The longest batch that can come: every row as long as the longest sample allows."""
    rows = config.per_device_train_batch_size // launch.processes
    prompt, image = max(lengths.prompt), max(lengths.image)
    if method == "sft":
        return Workload(rows, prompt, max(lengths.target), image)
    completion = config.max_completion_length
    generated = 0 if config.use_vllm else rows * config.steps_per_generation
    sharing, group = recipe.shared_prefix, config.num_generations
    if sharing.enabled and sharing.policy and rows % group == 0:
        return Workload(rows // group, prompt, completion, image, group, generated)
    return Workload(rows, prompt, completion, image, generated_rows=generated)


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
