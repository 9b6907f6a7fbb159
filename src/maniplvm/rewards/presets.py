"""Reward presets: the terms of a reward as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from maniplvm.config import ValidatedAs, build, unknown_key, validated
from maniplvm.errors import UserError
from maniplvm.rewards.terms import (
    AFFORDANCE_TERMS,
    POINTING_TERMS,
    TRAJECTORY_TERMS,
    DistanceTerm,
    FractionTerm,
    NearMissTerm,
    Term,
)
from maniplvm.tasks.sample import Task

TERMS: Mapping[Task, Mapping[str, type[Term]]] = {
    Task.AFFORDANCE: AFFORDANCE_TERMS,
    Task.TRAJECTORY: TRAJECTORY_TERMS,
    Task.POINTING: POINTING_TERMS,
}
"""The available terms of each task, by name."""

Terms = Annotated[Mapping[str, Term], ValidatedAs(Mapping[str, Any])]


@validated
@dataclass(frozen=True)
class Preset:
    """A reward for each task, as the sum of its terms.

    The values are validated in the same way from Python and from a file.

    Attributes:
        name: The name in logs and reports.
        affordance: The terms of a box answer, by name.
        trajectory: The terms of a trace answer, by name.
        pointing: The terms of a pointing answer, by name.

    Raises:
        UserError: an unknown term, a value of a wrong type, a negative or infinite number, or an
            infinite sum of weights. Also a near-miss term that rewards less overlap more.
    """

    name: str
    affordance: Terms = field(default_factory=dict[str, Term])
    trajectory: Terms = field(default_factory=dict[str, Term])
    pointing: Terms = field(default_factory=dict[str, Term])

    def __post_init__(self) -> None:
        for task in Task:
            object.__setattr__(self, task, _checked_terms(self.terms(task), task))

    def terms(self, task: Task) -> Mapping[str, Term]:
        """The terms of a task, by name."""
        if task is Task.AFFORDANCE:
            return self.affordance
        return self.trajectory if task is Task.TRAJECTORY else self.pointing

    def max_reward(self, task: Task) -> float:
        """The reward of a perfect answer. All rewards lie between 0 and this value."""
        return sum(
            term.weight for term in self.terms(task).values() if type(term) is not NearMissTerm
        )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], where: str = "preset") -> Preset:
        """Read `{name, affordance: {term: {weight, k, ...}}, trajectory: {...}, pointing: {...}}`.

        Raises:
            UserError: an unknown key (the message lists the valid keys), or as in `Preset`.
        """
        return build(cls, settings, where)

    @classmethod
    def from_yaml(cls, path: Path) -> Preset:
        """Read a preset file.

        Raises:
            UserError: the file cannot be read or is not YAML, or as in `from_mapping`.
        """
        from maniplvm.config.yaml import read_yaml  # keeps the import of rewards fast

        return cls.from_mapping(read_yaml(path, "preset"), f"preset {path}")


def _checked_terms(settings: Mapping[str, Any], task: Task) -> dict[str, Term]:
    known = TERMS[task]
    terms = dict[str, Term]()
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"{task}: {unknown_key(name, list(known))}")
        terms[name] = _checked_term(known[name], value, f"{task}.{name}")
    credit, overlap = terms.get("near_miss"), terms.get("iou")
    if isinstance(credit, NearMissTerm):
        most = credit.until * (overlap.weight if overlap is not None else 0.0)
        if not credit.weight < most:
            raise ValueError(
                f"{task}.near_miss: needs weight < until x the weight of iou, "
                "otherwise more overlap could score lower"
            )
    if not math.isfinite(sum(term.weight for term in terms.values())):
        raise ValueError(f"{task}: the sum of the weights is infinite; use smaller weights")
    return terms


def _checked_term(kind: type[Term], value: Any, path: str) -> Term:
    if isinstance(value, kind):
        return value
    if isinstance(value, FractionTerm | DistanceTerm | NearMissTerm):
        raise ValueError(f"{path}: expected {kind.__name__}, got {type(value).__name__}")  # noqa: TRY004
    return build(kind, value, where="", path=path)


def _path_terms(k: float, shape: Any, **weights: float) -> dict[str, Term]:
    return {name: DistanceTerm(weight, k, shape=shape) for name, weight in weights.items()}


def _paper() -> Preset:
    """The terms of the paper (arXiv 2505.16517) with weight 1.

    The paper does not publish k. With k = 10, an error of 5 % of the diagonal scores .61 in each
    term, and 20 % scores .14.
    """
    return Preset(
        "paper",
        {"format": FractionTerm(), "iou": FractionTerm()},
        {"format": FractionTerm(), **_path_terms(10.0, "exp", dfd=1, hd=1, rmse=1, end=1)},
        {"format": FractionTerm(), "inside": FractionTerm()},
    )


def _weighted() -> Preset:
    """The terms of the paper with the weights of the published code."""
    return Preset(
        "weighted",
        {"format": FractionTerm(), "iou": FractionTerm()},
        {
            "format": FractionTerm(),
            **_path_terms(10.0, "exp", dfd=0.25, hd=0.15, rmse=0.2, end=0.4),
        },
        {"format": FractionTerm(), "inside": FractionTerm()},
    )


def _dense() -> Preset:
    """A reward of this project that has a slope everywhere.

    A real affordance box is about 3 % of the image width. IoU alone is 0 for a near miss. See
    docs/rewards.md.
    """
    weights = {"dfd": 0.25, "hd": 0.25, "rmse": 0.25, "end": 0.25}
    return Preset(
        "dense",
        {"format": FractionTerm(0.2), "iou": FractionTerm(), "near_miss": NearMissTerm()},
        {"format": FractionTerm(0.2), **_path_terms(10.0, "rational", **weights)},
        {"format": FractionTerm(0.2), "inside": FractionTerm()},
    )


_SHIPPED = {"paper": _paper, "weighted": _weighted, "dense": _dense}


class _ShippedPresets(Mapping[str, Preset]):
    """Builds each preset on first use, which keeps `import maniplvm.rewards` fast."""

    def __getitem__(self, name: str) -> Preset:
        return _shipped(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_SHIPPED)

    def __len__(self) -> int:
        return len(_SHIPPED)


@lru_cache
def _shipped(name: str) -> Preset:
    return _SHIPPED[name]()


PRESETS: Mapping[str, Preset] = _ShippedPresets()
"""The shipped presets by name."""


def resolve_preset(preset: str | Path | Mapping[str, Any] | Preset) -> Preset:
    """Get a preset from a name, a YAML file, a mapping or a `Preset`.

    Raises:
        UserError: an unknown name (the message lists the valid names) or an invalid file.
    """
    if isinstance(preset, Preset):
        return preset
    if isinstance(preset, Mapping):
        return Preset.from_mapping(preset)
    if isinstance(preset, str) and preset in PRESETS:
        return PRESETS[preset]
    path = Path(preset)
    if path.suffix in (".yaml", ".yml"):
        return Preset.from_yaml(path)
    raise UserError(
        f"unknown preset {str(preset)!r}; choose from {', '.join(PRESETS)}, or give a .yaml file"
    )
