"""The commands of a run: training, weight interpolation, evaluation and report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from maniplvm.config.yaml import PARSE_ERRORS, parse_yaml
from maniplvm.errors import UserError
from maniplvm.experiments.grids.arm import Arm
from maniplvm.experiments.grids.grid import Grid
from maniplvm.experiments.grids.runs import Run, needed_runs, run_of
from maniplvm.experiments.stages import Stage, read_records, refuse_other
from maniplvm.models.shipped import EMBEDDED
from maniplvm.training import read_recipe
from maniplvm.training.loop.run_folder import read_record

_BATCH, _GROUP = 8, 8
"""Defaults of TRL for batch size and number of generations."""


def stage_names(grid: Grid, run: Run) -> list[str]:
    """Names of the stages of a run, in order; known before their commands are."""
    evaluations, wanted = ["greedy"], grid.evaluation_of(run.arm)
    if wanted.sampled and run.arm.baseline is None:
        seeds = [run.seed] if run.arm.trains else grid.seeds_of(run.arm)
        evaluations += [run.sampled(seed).name for seed in seeds]
    if not run.arm.trains:
        return evaluations
    interpolated = [] if run.arm.alpha is None else ["interpolate"]
    return ["train", *interpolated, *evaluations, *(["page"] if wanted.pages else [])]


def is_finished(grid: Grid, work: Path, run: Run) -> bool:
    """Whether all stages of a run are finished, and those of the runs that it needs.

    Raises:
        UserError: its folder holds another run: other commands or another recipe.
    """
    records = read_records(run.folder)
    if not all(name in records and records[name].finished for name in stage_names(grid, run)):
        return False
    if not all(is_finished(grid, work, needed) for needed in needed_runs(grid, work, run)):
        return False
    for stage in stages_of(grid, work, run):
        refuse_other(run.folder, stage, records[stage.name])
    if run.arm.trains:
        recipe = read_recipe(str(run.arm.recipe), changes_of(grid, work, run))
        run.training.check(recipe, str(run.arm.method))
    return True


def stages_of(grid: Grid, work: Path, run: Run) -> list[Stage]:
    """The commands of a run, in order.

    Raises:
        UserError: the run that defines its budget is not finished.
    """
    arm = run.arm
    stages = list[Stage]()
    if arm.trains:
        stages.append(
            Stage(
                "train",
                (
                    *("train", str(arm.method), str(arm.recipe), "--out", str(run.training.root)),
                    *(word for change in changes_of(grid, work, run) for word in ("--set", change)),
                ),
                f"{run.name}: train",
            )
        )
    if arm.alpha is not None:
        words = ("interpolate", origin_of(grid, arm), str(run.training.model))
        words += ("--alpha", f"{arm.alpha:g}", "--out", str(run.model))
        stages.append(Stage("interpolate", words, f"{run.name}: interpolate"))
    stages += _evaluations(grid, run)
    if arm.trains and grid.evaluation_of(arm).pages:
        stages.append(_page(grid, work, run))
    return stages


def start_of(grid: Grid, work: Path, run: Run) -> str:
    """The model from which a run's training starts."""
    if run.arm.start is not None:
        return str(run_of(grid, work, grid.arms[run.arm.start], run.seed).training.model)
    return run.arm.model or grid.model


def origin_of(grid: Grid, arm: Arm) -> str:
    """The model from which the first training of a chain starts."""
    while arm.start is not None:
        arm = grid.arms[arm.start]
    return arm.model or grid.model


def changes_of(grid: Grid, work: Path, run: Run) -> list[str]:
    """Changes of a run to the recipe of its arm, each `key.path=value`."""
    changes = _fixed(grid, run.arm)
    changes |= {"seed": run.seed, "model.source": start_of(grid, work, run)}
    changes |= _budgeted(grid, work, run)
    return _written(changes)


def check_files(grid: Grid, runs: Sequence[Run]) -> None:
    """Check that every recipe can be read and every folder exists, before hours of work.

    Raises:
        UserError: the first one that fails.
    """
    arms = {run.arm.name: run.arm for run in runs}
    paths = [grid.data, grid.model, *(arm.model for arm in arms.values() if arm.model)]
    for path in paths:
        if path != EMBEDDED and not Path(path).exists():
            raise UserError(
                f"{grid.where}: {path}: does not exist; create it first, or give another path"
            )
    for arm in arms.values():
        if arm.recipe is not None:
            try:
                read_recipe(arm.recipe, _written(_fixed(grid, arm)))
            except UserError as error:
                raise UserError(f"{grid.where}: arms.{arm.name}: {error}") from error


def samples_a_step(trainer: Mapping[str, Any], method: str) -> int:
    """Prompts (GRPO) or reference completions (SFT) per optimizer step of one process."""
    batch = trainer.get("per_device_train_batch_size", _BATCH)
    batch *= trainer.get("gradient_accumulation_steps", 1)
    if method == "sft":
        return batch
    reuse = trainer.get("num_iterations", 1)
    return max(1, batch // (trainer.get("num_generations", _GROUP) * reuse))


def samples_seen(record: Mapping[str, Any]) -> int:
    """Number of samples that a run saw, from its `run.json`."""
    return record["steps"] * samples_a_step(record["recipe"]["trainer"], record["method"])


def _fixed(grid: Grid, arm: Arm) -> dict[str, Any]:
    """Changes to the recipe that do not depend on other runs."""
    changes: dict[str, Any] = {"data.path": grid.data}
    if arm.task is not None:
        changes["data.task"] = arm.task
    if arm.fraction is not None:
        changes["data.fraction"] = arm.fraction
    return changes | dict(arm.set)


def _written(changes: Mapping[str, Any]) -> list[str]:
    """Changes in the form of `--set`: values as JSON, plain strings without quotes."""
    return [
        f"{key}={value if _is_plain(value) else json.dumps(value)}"
        for key, value in changes.items()
    ]


def _is_plain(value: Any) -> bool:
    """Whether a value is a string that YAML reads as itself without quotes."""
    try:
        return isinstance(value, str) and parse_yaml(value) == value
    except PARSE_ERRORS:
        return False


def _budgeted(grid: Grid, work: Path, run: Run) -> dict[str, Any]:
    budget = run.arm.budget
    if budget is None:
        return {}
    if budget.minutes is not None:
        return {"time_limit_minutes": budget.minutes}
    count = budget.samples_seen
    if budget.reference is not None:
        record = read_record(
            run_of(grid, work, grid.arms[budget.reference], run.seed).training.root
        )
        if not record.get("finished"):
            raise UserError(f"{run.name}: {budget.reference} is not finished")
        if budget.minutes_of is not None:
            return {"time_limit_minutes": round(record["wall_seconds"] / 60, 2)}
        count = samples_seen(record)
    trainer = read_recipe(str(run.arm.recipe), _written(_fixed(grid, run.arm))).trainer
    steps = ceil((count or 0) / samples_a_step(trainer, str(run.arm.method)))
    return {"time_limit_minutes": None, "trainer.max_steps": steps}


def _evaluations(grid: Grid, run: Run) -> list[Stage]:
    arm, wanted = run.arm, grid.evaluation_of(run.arm)
    model = (str(run.model),) if arm.trains else _untrained(grid, arm)
    common = ("evaluate", *model, "--data", grid.data)
    common += ("--max-new-tokens", str(wanted.max_new_tokens))
    common += () if arm.task is None else ("--task", arm.task)
    common += () if wanted.limit is None else ("--limit", str(wanted.limit))
    executed = ("--execute-splits", ",".join(wanted.execute), "--workers", str(wanted.workers))
    if not wanted.execute:
        executed = ("--no-execute",)
    splits = ("--splits", ",".join(wanted.splits))
    stages = [
        Stage(
            "greedy",
            (*common, *splits, *executed, "--out", str(run.greedy)),
            f"{run.name}: evaluate",
        )
    ]
    if wanted.sampled and arm.baseline is None:
        chosen = [split for split in wanted.execute if split in wanted.sampled]
        executed = ("--execute-splits", ",".join(chosen), "--workers", str(wanted.workers))
        executed = executed if chosen else ("--no-execute",)
        sampling = ("--temperature", f"{wanted.temperature:g}", "--draws", str(wanted.draws))
        for seed in [run.seed] if arm.trains else grid.seeds_of(arm):
            out = run.sampled(seed)
            words = (*common, "--splits", ",".join(wanted.sampled), *executed, *sampling)
            words += ("--seed", str(seed), "--out", str(out))
            stages.append(Stage(out.name, words, f"{run.name}: evaluate sampled answers"))
    return stages


def _untrained(grid: Grid, arm: Arm) -> tuple[str, ...]:
    """The model of an arm without training, as arguments of `maniplvm evaluate`."""
    if arm.baseline is None:
        return (arm.model or grid.model,)
    source = arm.baseline_data
    data = () if source is None else ("--baseline-data", source)
    return (f"baseline:{arm.baseline}", *data)


def _page(grid: Grid, work: Path, run: Run) -> Stage:
    arm = grid.arms[grid.base]
    base = run_of(grid, work, arm, grid.seeds_of(arm)[0])
    words = ["report", "--data", grid.data, "--out", str(run.folder / "report.html")]
    words += ["--before", str(base.greedy), "--after", str(run.greedy)]
    sampled = grid.evaluation_of(arm).sampled and grid.evaluation_of(run.arm).sampled
    if sampled and run.seed in grid.seeds_of(arm):
        words += ["--sampled-before", str(base.sampled(run.seed))]
        words += ["--sampled-after", str(run.sampled(run.seed))]
    words += ["--run", str(run.training.root)]
    return Stage("page", tuple(words), f"{run.name}: write the report")
