"""The runs of a grid: arms with seeds, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.experiments.grids.arm import Arm
from maniplvm.experiments.grids.grid import Grid
from maniplvm.training.loop.run_folder import RunFolder


@dataclass(frozen=True)
class Run:
    """An arm with a seed; an arm without training has one run for all seeds.

    Attributes:
        arm: The arm.
        seed: Seed of the training.
        folder: Folder of all files of the run.
    """

    arm: Arm
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """The name in lists and messages."""
        return f"{self.arm.name} seed {self.seed}" if self.arm.trains else self.arm.name

    @property
    def training(self) -> RunFolder:
        """The folder of its training."""
        return RunFolder(self.folder / "run")

    @property
    def model(self) -> Path:
        """The evaluated model: interpolated if the arm has an alpha."""
        return self.training.model if self.arm.alpha is None else self.folder / "model"

    @property
    def greedy(self) -> Path:
        """The evaluation folder of greedy answers."""
        return self.folder / "greedy"

    def sampled(self, seed: int) -> Path:
        """The evaluation folder of answers that were sampled with a seed."""
        return self.folder / ("sampled" if self.arm.trains else f"sampled-{seed}")


def runs_of(
    grid: Grid, work: Path, only: Sequence[str] = (), seeds: Sequence[int] = ()
) -> list[Run]:
    """All runs of some arms, each after the runs that it needs.

    Args:
        grid: From `read_grid`.
        work: The run folder of the grid.
        only: Names of arms or tiers; the arms that they need are added. Empty means all.
        seeds: Seeds of the trainings. Empty means all. Arms without training ignore it.

    Raises:
        UserError: no arm, tier or training has that name or seed.
    """
    runs = list[Run]()
    known = sorted({seed for arm in grid.arms.values() for seed in grid.seeds_of(arm)})
    if unknown := sorted(set(seeds) - set(known)):
        raise UserError(f"{grid.where}: no seed {unknown[0]}; choose from {known}")
    waiting = grid.select(only)
    waiting.sort(key=lambda arm: arm.name != grid.base)
    placed = set[str]()
    while waiting:
        arm = next(arm for arm in waiting if placed.issuperset(grid.needs(arm)))
        waiting.remove(arm)
        placed.add(arm.name)
        own = runs_of_arm(grid, work, arm)
        runs += [run for run in own if not arm.trains or not seeds or run.seed in seeds]
    return runs


def runs_of_arm(grid: Grid, work: Path, arm: Arm) -> list[Run]:
    """One run a seed, or one run for an arm without training."""
    seeds = grid.seeds_of(arm) if arm.trains else grid.seeds_of(arm)[:1]
    return [run_of(grid, work, arm, seed) for seed in seeds]


def run_of(grid: Grid, work: Path, arm: Arm, seed: int) -> Run:
    """The run of an arm and a seed."""
    at = work / arm.name
    return Run(arm, seed, at / f"seed-{seed}") if arm.trains else Run(arm, seed, at)


def needed_runs(grid: Grid, work: Path, run: Run) -> list[Run]:
    """Runs that must be finished before this one can start."""
    names = list(grid.needs(run.arm))
    needed = [run_of(grid, work, grid.arms[name], run.seed) for name in names]
    if run.arm.trains and grid.evaluation_of(run.arm).pages:
        base = grid.arms[grid.base]
        needed.append(run_of(grid, work, base, grid.seeds_of(base)[0]))
    return needed
