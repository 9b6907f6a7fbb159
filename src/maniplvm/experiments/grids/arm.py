"""An arm of a grid: a training, a model without training, or a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maniplvm.config import unknown_key, validated
from maniplvm.config.settings import NOT_IN_FILE
from maniplvm.evaluation import BASELINES
from maniplvm.training import METHODS

_ONLY_TRAINED = ("set", "fraction", "fractions", "start", "budget", "alpha")


@validated
@dataclass(frozen=True)
class Budget:
    """Length of a training. Exactly one attribute is set.

    Attributes:
        minutes: Training time [min].
        samples_seen: Number of prompts (GRPO) or reference completions (SFT), repetitions included.
        minutes_of: An arm whose run of the same seed gives the training time.
        samples_of: An arm whose run of the same seed gives the number of samples.
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
        """The arm that defines the budget, if any."""
        return self.minutes_of or self.samples_of


@validated
@dataclass(frozen=True)
class Arm:
    """One of the compared policies.

    Attributes:
        name: The key in the file, followed by the fraction in percent if the arm has `fractions`.
        tier: Name of the results file. None is the name of the grid.
        about: A short description for tables.
        method: `sft` or `grpo`. None is an arm without training.
        recipe: The recipe file of the training.
        set: Changes to the recipe, by `key.path`.
        fraction: Fraction of the recipe's scenes, 0..1.
        fractions: One arm for each fraction; only in the file.
        start: An arm whose trained model this arm starts from. The model has the same seed and is
            not interpolated. None is `model`.
        model: A checkpoint. None is the model of the grid.
        baseline: A baseline instead of a model, such as `constant`.
        baseline_data: `DIR:SPLIT` of the data that the baseline is fitted to.
        task: The only task for training and evaluation. None is both.
        budget: Length of the training. None is the length in the recipe.
        evaluate: Changes to the `evaluate` settings of the grid.
        alpha: Weight of the trained model in the weight interpolation (WiSE-FT) before the
            evaluation, above 0 and at most 1. The other model is the start of the first training
            in the chain. None is no interpolation.
        seeds: Seeds of this arm. None is the seeds of the grid.
        step_seconds: Expected time of a training step for the forecast [s].
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
    alpha: float | None = None
    seeds: tuple[int, ...] | None = None
    step_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise ValueError(f"method: choose from {', '.join(METHODS)}; got {self.method!r}")
        if (self.method is None) != (self.recipe is None):
            raise ValueError("method and recipe belong together; give both or neither")
        if self.method is None:
            for name in _ONLY_TRAINED:
                if getattr(self, name):
                    raise ValueError(f"{name}: needs a method and a recipe")
        if self.baseline is not None and self.baseline not in BASELINES:
            raise ValueError(f"baseline: {unknown_key(self.baseline, list(BASELINES))}")
        if self.baseline is not None and (self.method or self.model):
            raise ValueError("baseline: takes neither a method nor a model")
        if self.start is not None and self.model is not None:
            raise ValueError("start and model: give one of them")
        if self.alpha is not None and not 0 < self.alpha <= 1:
            raise ValueError(f"alpha: must be above 0 and at most 1, got {self.alpha:g}")
        if self.fraction is not None and self.fractions:
            raise ValueError("fraction and fractions: give one of them")

    @property
    def trains(self) -> bool:
        """Whether the arm has a training."""
        return self.method is not None
