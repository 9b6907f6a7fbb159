"""Presets: which terms make a reward, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from maniplvm.config import CheckedAs, build, unknown_key, validated
from maniplvm.errors import UserError
from maniplvm.rewards.terms import (
    AFFORDANCE_TERMS,
    POINTING_TERMS,
    TRAJECTORY_TERMS,
    Distance,
    Flat,
    NearMiss,
    Term,
)
from maniplvm.tasks.sample import Task

TERMS: Mapping[Task, Mapping[str, type[Term]]] = {
    Task.AFFORDANCE: AFFORDANCE_TERMS,
    Task.TRAJECTORY: TRAJECTORY_TERMS,
    Task.POINTING: POINTING_TERMS,
}
"""The terms that each task can have, by name."""

Terms = Annotated[Mapping[str, Term], CheckedAs(Mapping[str, Any])]


@validated
@dataclass(frozen=True)
class Preset:
    """A reward for each task, as the sum of its terms.

    It is checked alike whether it comes from Python or from a file.

    Attributes:
        name: The name in logs and reports.
        affordance: The terms of a box answer, by name.
        trajectory: The terms of a trace answer, by name.
        pointing: The terms of a pointing answer, by name.

    Raises:
        UserError: an unknown term, a value of another type, a negative or infinite number, a
            near-miss credit that would pay more for less overlap, or weights whose sum is infinite.
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
        """The total of a perfect answer: no answer earns more, none less than 0."""
        return sum(term.weight for term in self.terms(task).values() if type(term) is not NearMiss)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], where: str = "preset") -> Preset:
        """Read `{name, affordance: {term: {weight, k, ...}}, trajectory: {...}, pointing: {...}}`.

        Raises:
            UserError: an unknown key (the valid ones are listed), or as `Preset`.
        """
        return build(cls, settings, where)

    @classmethod
    def from_yaml(cls, path: Path) -> Preset:
        """Read a preset file.

        Raises:
            UserError: the file is missing, is not YAML, or as in `from_mapping`.
        """
        from maniplvm.config.yaml import read_yaml  # few use a file, and the import must be quick

        return cls.from_mapping(read_yaml(path, "preset"), f"preset {path}")


def _checked_terms(given: Mapping[str, Any], task: Task) -> dict[str, Term]:
    known = TERMS[task]
    terms = dict[str, Term]()
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{task}: {unknown_key(name, list(known))}")
        terms[name] = _checked_term(known[name], value, f"{task}.{name}")
    credit, overlap = terms.get("near_miss"), terms.get("iou")
    if isinstance(credit, NearMiss):
        most = credit.until * (overlap.weight if overlap is not None else 0.0)
        if not credit.weight < most:
            raise ValueError(
                f"{task}.near_miss: needs weight < until x the weight of iou, "
                "else more overlap could earn less"
            )
    if not math.isfinite(sum(term.weight for term in terms.values())):
        raise ValueError(f"{task}: the sum of the weights is infinite; use smaller ones")
    return terms


def _checked_term(kind: type[Term], value: Any, path: str) -> Term:
    if isinstance(value, kind):
        return value
    if isinstance(value, Flat | Distance | NearMiss):
        raise ValueError(f"{path}: expected {kind.__name__}, got {type(value).__name__}")  # noqa: TRY004
    return build(kind, value, where="", path=path)


def _path_terms(k: float, shape: Any, **weights: float) -> dict[str, Term]:
    return {name: Distance(weight, k, shape=shape) for name, weight in weights.items()}


def _paper() -> Preset:
    """The paper's terms at unit weight.

    Its k was never published. With ours, 5 % of the diagonal scores .61 and 20 % scores .14 in
    each term.
    """
    return Preset(
        "paper",
        {"format": Flat(), "iou": Flat()},
        {"format": Flat(), **_path_terms(10.0, "exp", dfd=1, hd=1, rmse=1, end=1)},
        {"format": Flat(), "inside": Flat()},
    )


def _weighted() -> Preset:
    """The published code's weights on the paper's terms."""
    return Preset(
        "weighted",
        {"format": Flat(), "iou": Flat()},
        {"format": Flat(), **_path_terms(10.0, "exp", dfd=0.25, hd=0.15, rmse=0.2, end=0.4)},
        {"format": Flat(), "inside": Flat()},
    )


def _dense() -> Preset:
    """A reward of this project, with a slope everywhere.

    A real affordance box is about 3 % of the image's width, so IoU alone gives no signal on a near
    miss; see docs/rewards.md.
    """
    weights = {"dfd": 0.25, "hd": 0.25, "rmse": 0.25, "end": 0.25}
    return Preset(
        "dense",
        {"format": Flat(0.2), "iou": Flat(), "near_miss": NearMiss()},
        {"format": Flat(0.2), **_path_terms(10.0, "rational", **weights)},
        {"format": Flat(0.2), "inside": Flat()},
    )


_SHIPPED = {"paper": _paper, "weighted": _weighted, "dense": _dense}


class _ShippedPresets(Mapping[str, Preset]):
    """Builds a preset when it is first used, so that `import maniplvm.rewards` stays quick."""

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
"""The named presets."""


def resolve_preset(preset: str | Path | Mapping[str, Any] | Preset) -> Preset:
    """A preset by name, from a YAML file, from settings, or as it is.

    Raises:
        UserError: an unknown name (the valid ones are listed) or a bad file.
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
        f"unknown preset {str(preset)!r}; choose from {', '.join(PRESETS)}, or name a .yaml file"
    )
