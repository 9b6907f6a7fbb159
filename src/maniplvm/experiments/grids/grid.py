"""A grid: arms, seeds, and the evaluation of every run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from maniplvm.config import build, unknown_key, validated
from maniplvm.config.settings import NOT_IN_FILE
from maniplvm.errors import UserError
from maniplvm.experiments.grids.arm import Arm

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@validated
@dataclass(frozen=True)
class EvaluationSettings:
    """How every arm is evaluated.

    Attributes:
        splits: Splits with greedy answers.
        execute: Splits whose traces are executed in physics.
        sampled: Splits that also get sampled answers.
        temperature: Temperature of the sampled answers.
        draws: Number of sampled answers per sample.
        limit: Maximum number of samples per split and task.
        max_new_tokens: Maximum length of an answer [tokens].
        workers: Number of processes that execute traces.
        pages: Whether every training gets a report that compares it with the base.
    """

    splits: tuple[str, ...] = ("adapt_test", "id_test", "ood_tasks", "ood_robot")
    execute: tuple[str, ...] = ("adapt_test", "id_test", "ood_tasks")
    sampled: tuple[str, ...] = ("adapt_test",)
    temperature: float = 1.0
    draws: int = 1
    limit: int | None = None
    max_new_tokens: int = 80
    workers: int = 1
    pages: bool = True

    def __post_init__(self) -> None:
        for name in ("execute", "sampled"):
            other = [split for split in getattr(self, name) if split not in self.splits]
            if other:
                raise ValueError(
                    f"{name}: {other[0]} is not among evaluate.splits ({', '.join(self.splits)})"
                )


@validated
@dataclass(frozen=True)
class Costs:
    """Expected times for the forecast, used until a similar run is finished.

    Attributes:
        grpo_step: Time of a GRPO step [s].
        sft_step: Time of an SFT step [s].
        evaluation: Time of all evaluations of a run [s].
    """

    grpo_step: float = 2.1
    sft_step: float = 1.0
    evaluation: float = 180.0


@validated
@dataclass(frozen=True)
class Grid:
    """Runs to train, evaluate and compare; read one with `read_grid`.

    Attributes:
        name: Name of the run folder, and of the results file of arms without a tier.
        data: A stored data set for training and evaluation.
        arms: The arms by name; one arm for each fraction.
        base: The arm that all others are compared with; a model without training.
        model: The model from which arms start.
        seeds: Seeds of trainings and of sampled answers.
        evaluate: The evaluation of every arm.
        costs: Expected times for the forecast.
        pairs: `[before, after]` names of further arms to compare.
        where: The file, for messages.
    """

    name: str
    data: str
    arms: Mapping[str, Arm]
    base: str
    model: str = "embedded"
    seeds: tuple[int, ...] = (0, 1, 2)
    evaluate: EvaluationSettings = field(default_factory=EvaluationSettings)
    costs: Costs = field(default_factory=Costs)
    pairs: tuple[tuple[str, ...], ...] = ()
    where: str = field(default="grid", compare=False, metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"name: {self.name!r} names a folder; use letters, digits, - _ and .")
        if not self.seeds:
            raise UserError("seeds: at least one is needed")
        object.__setattr__(self, "arms", dict(_with_fractions(self.arms)))
        base = self._arm(self.base, "base")
        if base.trains or base.baseline is not None:
            raise UserError(f"base: {self.base} must be a model without training")
        for pair in self.pairs:
            if len(pair) != 2:
                raise UserError(f"pairs: expected [before, after], got {list(pair)}")
            for name in pair:
                self._arm(name, "pairs")
        for arm in self.arms.values():
            self._check(arm)

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        """The seeds of an arm; only the first for a baseline, whose answers use no seed."""
        seeds = self.seeds if arm.seeds is None else arm.seeds
        return seeds if arm.baseline is None else seeds[:1]

    def evaluation_of(self, arm: Arm) -> EvaluationSettings:
        """The evaluation settings of an arm.

        Raises:
            UserError: its `evaluate` has an unknown key, or a split that is not evaluated.
        """
        own = {f.name: getattr(self.evaluate, f.name) for f in fields(EvaluationSettings)}
        path = f"arms.{arm.name}.evaluate"
        return build(EvaluationSettings, {**own, **arm.evaluate}, where="", path=path)

    def tier_of(self, arm: Arm) -> str:
        """The tier of an arm, which names its results file."""
        return arm.tier or self.name

    @property
    def tiers(self) -> list[str]:
        """The tiers of all arms, in the order of the file."""
        return list(dict.fromkeys(map(self.tier_of, self.arms.values())))

    def needs(self, arm: Arm) -> tuple[str, ...]:
        """Arms whose run of the same seed must be finished first."""
        reference = None if arm.budget is None else arm.budget.reference
        return tuple(dict.fromkeys(name for name in (arm.start, reference) if name))

    def select(self, only: Sequence[str]) -> list[Arm]:
        """The arms of some names or tiers and all arms that they need, in the order of the file.

        Args:
            only: Names of arms or tiers. Empty means all arms.

        Raises:
            UserError: no arm and no tier has the name.
        """
        if not only:
            return list(self.arms.values())
        wanted = {self.base}
        for name in only:
            found = [
                arm.name for arm in self.arms.values() if name in (arm.name, self.tier_of(arm))
            ]
            if not found:
                raise UserError(f"--only: {unknown_key(name, [*self.tiers, *self.arms])}")
            wanted.update(found)
        while True:
            more = {need for name in wanted for need in self.needs(self.arms[name])} - wanted
            if not more:
                return [arm for arm in self.arms.values() if arm.name in wanted]
            wanted |= more

    def _arm(self, name: str, key: str) -> Arm:
        if name not in self.arms:
            raise UserError(f"{key}: {unknown_key(name, list(self.arms))}")
        return self.arms[name]

    def _check(self, arm: Arm) -> None:
        self.evaluation_of(arm)
        for name in self.needs(arm):
            other = self._arm(name, f"arms.{arm.name}")
            if not other.trains:
                raise UserError(f"arms.{arm.name}: {name} does not train; use model instead")
            missing = set(self.seeds_of(arm)) - set(self.seeds_of(other))
            if missing:
                raise UserError(f"arms.{arm.name}: {name} has no seed {min(missing)}")
        seen, waiting = set[str](), list(self.needs(arm))
        while waiting:
            name = waiting.pop()
            if name == arm.name:
                raise UserError(f"arms.{arm.name}: needs itself")
            if name not in seen:
                seen.add(name)
                waiting += self.needs(self._arm(name, f"arms.{arm.name}"))


def _with_fractions(arms: Mapping[str, Arm]) -> Sequence[tuple[str, Arm]]:
    """The arms with their names, where an arm with `fractions` becomes one arm for each."""
    listed = list[tuple[str, Arm]]()
    for key, arm in arms.items():
        if not _NAME.fullmatch(key):
            raise UserError(f"arms: {key!r} names a folder; use letters, digits, - _ and . only")
        if not arm.fractions:
            listed.append((key, replace(arm, name=key)))
        for fraction in arm.fractions:
            name = f"{key}-{100 * fraction:g}"
            listed.append((name, replace(arm, name=name, fraction=fraction, fractions=())))
    if len({name for name, _ in listed}) < len(listed):
        raise UserError("arms: two arms have the same name after their fractions are added")
    return listed
