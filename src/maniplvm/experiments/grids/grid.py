"""A grid of runs as plain data: arms, seeds, fractions, and what is measured of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from maniplvm.config import build, unknown_key, validated
from maniplvm.config.settings import NOT_IN_FILE, file_keys
from maniplvm.config.yaml import read_yaml
from maniplvm.errors import UserError
from maniplvm.evaluation import BASELINES
from maniplvm.training import METHODS

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_BASELINE = "baseline:"


@validated
@dataclass(frozen=True)
class Budget:
    """How long an arm trains; without one, as its recipe says.

    Attributes:
        minutes: Of training time.
        samples_seen: Prompts, or right answers for supervision, repetitions counted.
        minutes_of: An arm: as long as its run of the same seed took.
        samples_of: An arm: as many samples as its run of the same seed saw.
    """

    minutes: float | None = None
    samples_seen: int | None = None
    minutes_of: str | None = None
    samples_of: str | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(vars(self))}")
        if any(value is not None and value <= 0 for value in (self.minutes, self.samples_seen)):
            raise ValueError("must be above 0")

    @property
    def reference(self) -> str | None:
        """The arm that it is taken from, if any."""
        return self.minutes_of or self.samples_of


@validated
@dataclass(frozen=True)
class Arm:
    """What is compared: a training, a model as it is, or a baseline.

    Attributes:
        name: Its key in the file, with its fraction in percent where several are listed.
        tier: What it is part of; names the results file. None is the grid's name.
        about: In a few words, for tables.
        method: `sft` or `grpo`; None for an arm without training.
        recipe: Of the training.
        set: Changes to the recipe, by `key.path`.
        fraction: Share of the recipe's scenes.
        fractions: In the file only: one arm for each.
        start: An arm whose trained model it starts from, of the same seed and not blended; None is
            `model`.
        model: A checkpoint; None is the grid's.
        baseline: Instead of a model, such as `constant`.
        baseline_data: `DIR:SPLIT` that a baseline learns from.
        task: Only this one is trained and measured.
        budget: How long it trains.
        evaluate: What is measured of it otherwise than of the others, as in the grid's `evaluate`.
        blend: Share of the trained weights in what is measured; the rest is the model from which the
            first training of its chain started.
        seeds: Its own; None takes the grid's.
        step_seconds: Of training, for the forecast alone, until a run of it is finished.
    """

    name: str = field(metadata=NOT_IN_FILE, default="")
    tier: str | None = None
    about: str = ""
    method: str | None = None
    recipe: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fraction: float | None = None
    fractions: tuple[float, ...] = ()
    start: str | None = None
    model: str | None = None
    baseline: str | None = None
    baseline_data: str | None = None
    task: str | None = None
    budget: Budget | None = None
    evaluate: Mapping[str, Any] = field(default_factory=dict[str, Any])
    blend: float | None = None
    seeds: tuple[int, ...] | None = None
    step_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise ValueError(f"method: choose from {', '.join(METHODS)}; got {self.method!r}")
        if (self.method is None) != (self.recipe is None):
            raise ValueError("method and recipe belong together; give both or neither")
        if self.method is None:
            for name in ("set", "fraction", "fractions", "start", "budget", "blend"):
                if getattr(self, name):
                    raise ValueError(f"{name}: only of use with a method and a recipe")
        if self.baseline is not None and self.baseline not in BASELINES:
            raise ValueError(f"baseline: {unknown_key(self.baseline, list(BASELINES))}")
        if self.baseline is not None and (self.method or self.model):
            raise ValueError("baseline: takes neither a method nor a model")
        if self.start is not None and self.model is not None:
            raise ValueError("start and model: give one of them")
        if self.blend is not None and not 0 < self.blend <= 1:
            raise ValueError(f"blend: must lie above 0 and at most 1, got {self.blend:g}")
        if self.fraction is not None and self.fractions:
            raise ValueError("fraction and fractions: give one of them")

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return self.method is not None


@validated
@dataclass(frozen=True)
class Measuring:
    """What is measured of every arm.

    Attributes:
        splits: With greedy answers.
        execute: Splits whose traces are followed in physics.
        sampled: Splits with drawn answers as well.
        temperature: Of those.
        draws: Of each sample.
        limit: Samples of each split and task at most.
        max_new_tokens: Where an answer is cut.
        workers: Processes that follow traces.
        pages: Whether every trained run gets a report page beside the untouched model.
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
    """Guesses for the forecast, until something like it is finished [s of one job].

    Attributes:
        grpo_step: A step of GRPO.
        sft_step: A step of supervision.
        evaluation: All measurements of a run.
    """

    grpo_step: float = 2.1
    sft_step: float = 1.0
    evaluation: float = 180.0


@validated
@dataclass(frozen=True)
class Grid:
    """Runs to make and compare; read one with `read_grid`.

    Attributes:
        name: Of the work folder, and of the results of arms without a tier.
        data: A stored data set, for training and measuring.
        model: Where arms start.
        seeds: Of training and of drawn answers.
        base: The arm that all others are compared with: a model as it is.
        evaluate: What is measured.
        costs: For the forecast.
        pairs: `[before, after]` names of arms that are compared besides.
        arms: By name, fractions spelt out.
        where: The file, for messages.
    """

    name: str
    data: str
    arms: Mapping[str, Arm]
    base: str
    model: str = "embedded"
    seeds: tuple[int, ...] = (0, 1, 2)
    evaluate: Measuring = field(default_factory=Measuring)
    costs: Costs = field(default_factory=Costs)
    pairs: tuple[tuple[str, ...], ...] = ()
    where: str = field(default="grid", compare=False, metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"name: {self.name!r} names a folder; use letters, digits, - _ and .")
        if not self.seeds:
            raise UserError("seeds: at least one is needed")
        object.__setattr__(self, "arms", dict(_spelt_out(self.arms)))
        base = self._arm(self.base, "base")
        if base.trains or base.baseline is not None:
            raise UserError(f"base: {self.base} must be a model as it is")
        for pair in self.pairs:
            if len(pair) != 2:
                raise UserError(f"pairs: expected [before, after], got {list(pair)}")
            for name in pair:
                self._arm(name, "pairs")
        for arm in self.arms.values():
            self._check(arm)

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        """An arm's seeds; of a baseline the first alone, since it answers without chance."""
        seeds = self.seeds if arm.seeds is None else arm.seeds
        return seeds if arm.baseline is None else seeds[:1]

    def measured_of(self, arm: Arm) -> Measuring:
        """What is measured of an arm.

        Raises:
            UserError: its `evaluate` has an unknown key, or asks for a split that is not measured.
        """
        own = {f.name: getattr(self.evaluate, f.name) for f in fields(Measuring)}
        path = f"arms.{arm.name}.evaluate"
        return build(Measuring, {**own, **arm.evaluate}, where="", path=path)

    def tier_of(self, arm: Arm) -> str:
        """What an arm is part of."""
        return arm.tier or self.name

    @property
    def tiers(self) -> list[str]:
        """What the arms are part of, in the file's order; each names a results file."""
        return list(dict.fromkeys(map(self.tier_of, self.arms.values())))

    def needs(self, arm: Arm) -> tuple[str, ...]:
        """Arms whose run of the same seed must be finished first."""
        reference = None if arm.budget is None else arm.budget.reference
        return tuple(dict.fromkeys(name for name in (arm.start, reference) if name))

    def chosen(self, only: Sequence[str]) -> list[Arm]:
        """The arms of some names or tiers and all that they need, in the file's order.

        Raises:
            UserError: nothing is called so.
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
        self.measured_of(arm)
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


def read_grid(path: str | Path) -> Grid:
    """Read a grid file. In it, `like: ARM` gives an arm whatever it does not say itself.

    Raises:
        UserError: an unknown or missing key, a value of another type, an arm that is not there; the
            line names file, key and valid choices.
    """
    path = Path(path)
    settings = read_yaml(path, "experiment")
    arms = settings.get("arms")
    if isinstance(arms, Mapping):
        settings["arms"] = {
            name: _inherited(name, arms, str(path), ()) for name in arms if name is not None
        }
    return replace(build(Grid, settings, str(path)), where=str(path))


def _inherited(
    name: str, arms: Mapping[str, Any], where: str, below: tuple[str, ...]
) -> dict[str, Any]:
    own = arms[name]
    if own is None:
        return {}
    if not isinstance(own, Mapping):
        raise UserError(f"{where}: arms.{name}: expected a mapping, got {own!r}")
    parent = own.get("like")
    if parent is None:
        return dict(own)
    if parent not in arms:
        raise UserError(f"{where}: arms.{name}.like: {unknown_key(str(parent), list(arms))}")
    if name in below:
        raise UserError(f"{where}: arms.{name}: is like itself")
    merged = _inherited(parent, arms, where, (*below, name))
    changes = {**(merged.get("set") or {}), **(own.get("set") or {})}
    merged |= {key: value for key, value in own.items() if key != "like"}
    if "fraction" in own:
        merged.pop("fractions", None)
    if "fractions" in own:
        merged.pop("fraction", None)
    return merged | ({"set": changes} if changes else {})


def _spelt_out(arms: Mapping[str, Arm]) -> Sequence[tuple[str, Arm]]:
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
        raise UserError("arms: two have one name once their fractions are spelt out")
    return listed


def model_arguments(grid: Grid, arm: Arm) -> tuple[str, ...]:
    """What `maniplvm evaluate` is told about an arm without training."""
    if arm.baseline is None:
        return (arm.model or grid.model,)
    source = arm.baseline_data
    taught = () if source is None else ("--baseline-data", source)
    return (_BASELINE + arm.baseline, *taught)


KEYS = tuple(file_keys(Arm))
"""What an arm may say, besides `like`."""
