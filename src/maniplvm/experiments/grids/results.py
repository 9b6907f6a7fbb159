"""The results files of a grid: JSON, one file for each tier."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from maniplvm.evaluation import TaskResult, read_evaluation
from maniplvm.evaluation.statistics.comparison import Difference
from maniplvm.evaluation.statistics.intervals import Interval
from maniplvm.experiments.grids.arm import Arm
from maniplvm.experiments.grids.grid import Grid
from maniplvm.experiments.grids.kept_results import FORMAT, keep_earlier, read_results
from maniplvm.experiments.grids.runs import Run, run_of, runs_of_arm
from maniplvm.experiments.grids.stages import is_finished, samples_a_step, samples_seen
from maniplvm.experiments.pooling import paired_differences, pooled_results, rounded, thinned
from maniplvm.experiments.stages import read_records
from maniplvm.files import write_json
from maniplvm.training.loop.run_folder import read_record

_BySeed: TypeAlias = dict[int | None, Path]
MEASURES = ("iou", "success", "dfd", "hd", "rmse", "end", "dfd_diagonal")
"""Stored measures of the protocol, if the task has them."""
COMPARED = (*MEASURES, "task_reward", "execution", "parse_rate")
"""Measures with paired differences."""
CURVE_METRICS = (
    *("step", "seconds", "loss", "reward", "parse_rate", "kl", "entropy"),
    *("completions/mean_length", "group_reward_std", "frac_reward_zero_std", "answer_diversity"),
)
"""Metrics of a stored learning curve, in addition to all reward terms."""
INTERVALS = (
    "95 %, bootstrap. Means: over scenes, with the answers of all seeds. Differences: paired by sample "
    "and seed, over scenes and seeds. `seeds` holds the mean of each seed. `p` is two-sided, without "
    "correction for multiple comparisons."
)


def write_evidence(grid: Grid, work: Path, results: Path) -> dict[Path, list[str]]:
    """Write the results of every tier with a finished arm.

    Results of runs that are not in `work` stay in the file (`keep_earlier`).

    Args:
        grid: From `read_grid`.
        work: The run folder of the grid.
        results: Folder of the files, `TIER.json` each.

    Returns:
        The files, each with the names of the arms that were kept unchanged.

    Raises:
        UserError: the commands of a finished run differ from those of the grid, or a file in
            `results` has another content.
    """
    written = dict[Path, list[str]]()
    finished = {
        arm.name: runs for arm in grid.arms.values() if (runs := _finished(grid, work, arm))
    }
    for tier in grid.tiers:
        own = [arm for arm in grid.arms.values() if grid.tier_of(arm) == tier]
        shown = [arm for arm in own if arm.name in finished]
        if not shown or (shown == [grid.arms[grid.base]] and len(own) > 1):
            continue
        path = results / f"{tier}.json"
        content = rounded(_tier(grid, work, tier, shown, finished))
        settings = {arm.name: rounded(settings_of(grid, arm)) for arm in own}
        kept = keep_earlier(grid, content, read_results(path, grid), settings)
        content["command"] = shlex.join(["maniplvm", "experiment", str(grid.where), "--only", tier])
        content["unfinished"] = [
            arm.name
            for arm in own
            if len(content["arms"].get(arm.name, {"seeds": ()})["seeds"]) < len(grid.seeds_of(arm))
        ]
        results.mkdir(parents=True, exist_ok=True)
        write_json(path, content, indent=1)
        written[path] = kept
    return written


def _finished(grid: Grid, work: Path, arm: Arm) -> list[Run]:
    return [run for run in runs_of_arm(grid, work, arm) if is_finished(grid, work, run)]


def _tier(
    grid: Grid, work: Path, tier: str, arms: Sequence[Arm], finished: Mapping[str, list[Run]]
) -> dict[str, Any]:
    first = read_evaluation(finished[arms[0].name][0].greedy)
    pairs = [
        (before, after)
        for before, after in (tuple(pair) for pair in grid.pairs)
        if grid.arms[after] in arms and before in finished
    ]
    return {
        "format": FORMAT,
        "experiment": grid.name,
        "tier": tier,
        "grid": Path(grid.where).name,
        "seed": list(grid.seeds),
        "base": grid.base,
        "versions": {**first.versions, "python": sys.version.split()[0]},
        "cores": os.cpu_count(),
        "intervals": INTERVALS,
        "arms": {arm.name: _arm(grid, work, arm, finished) for arm in arms},
        "pairs": [
            {
                "before": before,
                "after": after,
                "splits": _compared(grid, finished[before], finished[after]),
            }
            for before, after in pairs
        ],
    }


def _arm(grid: Grid, work: Path, arm: Arm, finished: Mapping[str, list[Run]]) -> dict[str, Any]:
    runs = finished[arm.name]
    content: dict[str, Any] = {
        "about": arm.about,
        **settings_of(grid, arm),
        "seeds": [run.seed for run in runs] if arm.trains else list(grid.seeds_of(arm)),
        "cost": _cost(grid, work, runs),
        "splits": _splits(grid, runs),
    }
    if arm.name != grid.base and grid.base in finished:
        content["against_base"] = _compared(grid, finished[grid.base], runs)
    if arm.trains:
        content["commands"] = [read_records(run.folder)["train"].command for run in runs]
        content["curves"] = [{"seed": run.seed, "points": _curve(run)} for run in runs]
    return content


def settings_of(grid: Grid, arm: Arm) -> dict[str, Any]:
    """The settings of an arm, as results files store them."""
    return {
        "method": arm.method,
        "recipe": arm.recipe,
        "set": dict(arm.set),
        "fraction": arm.fraction,
        "start": arm.start or arm.model or (None if arm.baseline else grid.model),
        "baseline": arm.baseline,
        "task": arm.task,
        "alpha": arm.alpha,
        "budget": None
        if arm.budget is None
        else {k: v for k, v in vars(arm.budget).items() if v is not None},
    }


def _cost(grid: Grid, work: Path, runs: Sequence[Run]) -> dict[str, Any]:
    """Time and samples of the training, and in total with the trainings before it."""
    spent = [read_records(run.folder) for run in runs]
    cost: dict[str, Any] = {
        "measuring_seconds": [
            sum(
                r.seconds for name, r in own.items() if name not in ("train", "interpolate", "page")
            )
            for own in spent
        ]
    }
    if not runs[0].arm.trains:
        return cost
    chains = [_chain(grid, work, run) for run in runs]
    cost["wall_seconds"] = [chain[0]["wall_seconds"] for chain in chains]
    cost["optimizer_steps"] = [chain[0]["steps"] for chain in chains]
    cost["samples_seen"] = [samples_seen(chain[0]) for chain in chains]
    cost["training_samples"] = [chain[0].get("samples") for chain in chains]
    cost["peak_rss_mb"] = [chain[0].get("peak_rss_mb") for chain in chains]
    cost["wall_seconds_in_all"] = [sum(r["wall_seconds"] for r in chain) for chain in chains]
    cost["samples_seen_in_all"] = [sum(map(samples_seen, chain)) for chain in chains]
    return cost


def _chain(grid: Grid, work: Path, run: Run) -> list[dict[str, Any]]:
    """Records of a training and of the trainings before it in the chain."""
    own = read_record(run.training.root)
    if run.arm.start is None:
        return [own]
    return [own, *_chain(grid, work, run_of(grid, work, grid.arms[run.arm.start], run.seed))]


def _evaluations(grid: Grid, runs: Sequence[Run]) -> dict[str, _BySeed]:
    """Evaluation folders by suffix of the split names and by seed."""
    arm = runs[0].arm
    folders: dict[str, _BySeed]
    sampled: _BySeed
    if arm.trains:
        folders = {"": {run.seed: run.greedy for run in runs}}
        sampled = {run.seed: run.sampled(run.seed) for run in runs}
    else:
        folders = {"": {None: runs[0].greedy}}
        sampled = {seed: runs[0].sampled(seed) for seed in grid.seeds_of(arm)}
    if grid.evaluation_of(arm).sampled and arm.baseline is None:
        folders["_sampled"] = sampled
    return folders


def _splits(grid: Grid, runs: Sequence[Run]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for suffix, by_seed in _evaluations(grid, runs).items():
        folders = list(by_seed.values())
        single = [read_evaluation(folder) for folder in folders]
        for split, tasks in pooled_results(folders).items():
            content[split + suffix] = {
                task.value: {
                    **_means(result),
                    "seeds": _by_seed([own.splits[split][task] for own in single]),
                }
                for task, result in tasks.items()
            }
    return content


def _means(result: TaskResult) -> dict[str, Any]:
    means = {name: _interval(result.strict[name]) for name in MEASURES if name in result.strict}
    means["reward"] = _interval(result.reward["total"])
    means["parse_rate"] = _interval(result.parse_rate)
    for name in ("execution", "part_named", "diversity"):
        value = getattr(result, name)
        if value is not None:
            means[name] = _interval(value)
    plain = {
        name: getattr(result, name)
        for name in ("count", "scenes", "area_ratio", "length_ratio", "start_diagonal", "tokens")
        if getattr(result, name) is not None
    }
    return {**plain, **means}


def _by_seed(results: Sequence[TaskResult]) -> dict[str, list[float]]:
    first = results[0]
    values = {
        name: [r.strict[name].mean for r in results] for name in MEASURES if name in first.strict
    }
    values["parse_rate"] = [result.parse_rate.mean for result in results]
    solved = [r.execution.mean for r in results if r.execution is not None]
    return values | ({"execution": solved} if solved else {})


def _compared(grid: Grid, before: Sequence[Run], after: Sequence[Run]) -> dict[str, Any]:
    """Differences between runs of the same seed, or to the only run of an arm without training."""
    first, second = _evaluations(grid, before), _evaluations(grid, after)
    content: dict[str, Any] = {}
    for suffix in (suffix for suffix in second if suffix in first):
        runs = _pairs(first[suffix], second[suffix])
        if not runs:
            continue
        single = [paired_differences([run]) for run in runs]
        for split, tasks in paired_differences(runs).items():
            content[split + suffix] = {
                task.value: {
                    name: _difference(own, [each[split][task][name] for each in single])
                    for name, own in measures.items()
                    if name in COMPARED
                }
                for task, measures in tasks.items()
            }
    return content


def _pairs(before: _BySeed, after: _BySeed) -> list[tuple[Path, Path]]:
    if None in before:
        return [(before[None], folder) for folder in after.values()]
    if None in after:
        return [(folder, after[None]) for folder in before.values()]
    return [(before[seed], folder) for seed, folder in after.items() if seed in before]


def _difference(pooled: Difference, single: Sequence[Difference]) -> dict[str, Any]:
    return {
        "before": pooled.before,
        "after": pooled.after,
        "difference": _interval(pooled.difference),
        "pairs": pooled.pairs,
        "p": pooled.p,
        "seeds": [own.difference.mean for own in single],
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _curve(run: Run) -> list[dict[str, float]]:
    from maniplvm.training.loop.run_log import read_log

    trainer = read_record(run.training.root)["recipe"]["trainer"]
    each = samples_a_step(trainer, str(run.arm.method))
    points = list[dict[str, float]]()
    for line in thinned(list(read_log(run.training.log))):
        kept = {k: v for k, v in line.items() if k in CURVE_METRICS or k.startswith("reward/")}
        points.append({**kept, "samples": line["step"] * each})
    return points
