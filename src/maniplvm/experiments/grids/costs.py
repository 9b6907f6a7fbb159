"""Progress of a grid: finished and unfinished runs, and the expected time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from maniplvm.experiments.grids.grid import Grid
from maniplvm.experiments.grids.runs import Run, needed_runs, run_of
from maniplvm.experiments.grids.stages import is_finished, samples_a_step, stage_names
from maniplvm.experiments.stages import StageRecord, read_records
from maniplvm.training import read_recipe

_SHORT = {"interpolate": 3.0, "page": 3.0}
"""Expected time of short stages [s]."""
_GREEDY = 0.7
"""Fraction of the evaluation time for greedy answers. More of their splits are executed."""


@dataclass(frozen=True)
class RunStatus:
    """Progress of a run.

    Attributes:
        run: The run.
        done: Number of finished stages.
        stages: Number of all stages.
        started: Whether a stage has started.
        spent: Time of all ended attempts [s].
        remaining: Expected remaining time [s].
        waits_for: Names of the unfinished runs that it needs.
    """

    run: Run
    done: int
    stages: int
    started: bool
    spent: float
    remaining: float
    waits_for: tuple[str, ...]

    @property
    def state(self) -> str:
        """`finished`, `started` or `pending`."""
        if self.done == self.stages:
            return "finished"
        return "started" if self.started else "pending"


def forecast(grid: Grid, work: Path, runs: Sequence[Run]) -> list[RunStatus]:
    """The progress of every run. Remaining time is estimated from finished runs, else from budgets.

    Args:
        grid: From `read_grid`.
        work: The run folder of the grid.
        runs: From `runs_of`.

    Raises:
        UserError: the commands of a finished run differ from those of the grid.
    """
    records = {run.name: read_records(run.folder) for run in runs}
    expected = _Expected(grid, work, runs, records)
    finished = {run.name: is_finished(grid, work, run) for run in runs}
    listed = list[RunStatus]()
    for run in runs:
        own, names = records[run.name], stage_names(grid, run)
        unfinished = [name for name in names if not _is_finished(own, name)]
        remaining = 0.0
        for name in unfinished:
            so_far = own[name].seconds if name in own else 0.0
            remaining += max(0.0, expected.seconds(run, name) - so_far)
        waits = [n.name for n in needed_runs(grid, work, run) if not finished.get(n.name, False)]
        spent = sum(record.seconds for record in own.values())
        done = len(names) - len(unfinished)
        listed.append(RunStatus(run, done, len(names), bool(own), spent, remaining, tuple(waits)))
    return listed


class _Expected:
    """Expected time of a stage: the mean of similar finished stages, else an estimate."""

    def __init__(
        self,
        grid: Grid,
        work: Path,
        runs: Sequence[Run],
        records: Mapping[str, Mapping[str, StageRecord]],
    ) -> None:
        self._grid, self._work = grid, work
        self._measured: dict[tuple[str, str], list[float]] = {}
        for run in runs:
            for name, record in records[run.name].items():
                if record.finished:
                    for arm in (run.arm.name, "" if run.arm.baseline is None else "baseline"):
                        key = (arm, _kind(name))
                        self._measured.setdefault(key, []).append(record.seconds)

    def seconds(self, run: Run, stage: str) -> float:
        """Expected time of one stage of one run [s]."""
        arm, kind = run.arm, _kind(stage)
        like = "" if arm.baseline is None else "baseline"
        for key in ((arm.name, kind), *([] if kind == "train" else [(like, kind)])):
            if key in self._measured:
                return fmean(self._measured[key])
        if kind == "train":
            return self._training(run)
        evaluation = self._grid.costs.evaluation
        fraction = {"greedy": _GREEDY, "sampled": 1 - _GREEDY}
        return _SHORT[kind] if kind in _SHORT else evaluation * fraction[kind]

    def _training(self, run: Run) -> float:
        grid, budget = self._grid, run.arm.budget
        if budget is not None and budget.minutes is not None:
            return 60 * budget.minutes
        if budget is not None and budget.minutes_of is not None:
            other = run_of(grid, self._work, grid.arms[budget.minutes_of], run.seed)
            return self.seconds(other, "train")
        return self._steps(run) * self._step_seconds(run)

    def _step_seconds(self, run: Run) -> float:
        costs = self._grid.costs
        estimate = costs.grpo_step if run.arm.method == "grpo" else costs.sft_step
        return estimate if run.arm.step_seconds is None else run.arm.step_seconds

    def _steps(self, run: Run) -> float:
        """Number of steps of a run whose length is not given in minutes."""
        grid, arm, budget = self._grid, run.arm, run.arm.budget
        changes = [f"{key}={value}" for key, value in arm.set.items() if key == "trainer.max_steps"]
        recipe = read_recipe(str(arm.recipe), changes)
        if budget is None:
            limit = recipe.time_limit_minutes
            steps = float(recipe.trainer.get("max_steps", 0))
            if limit is None:
                return steps
            return min(steps or float("inf"), 60 * limit / self._step_seconds(run))
        count = budget.samples_seen
        trainer = dict(recipe.trainer)
        trainer |= {
            key.removeprefix("trainer."): value
            for key, value in arm.set.items()
            if key.startswith("trainer.")
        }
        if count is None:
            name = str(budget.samples_of)
            other = run_of(grid, self._work, grid.arms[name], run.seed)
            source = read_recipe(str(other.arm.recipe)).trainer
            count = self._steps(other) * samples_a_step(source, str(other.arm.method))
        return count / samples_a_step(trainer, str(arm.method))


def _is_finished(records: Mapping[str, StageRecord], name: str) -> bool:
    return name in records and records[name].finished


def _kind(stage: str) -> str:
    return stage.partition("-")[0]
