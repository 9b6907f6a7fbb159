"""Presets: which terms make a reward, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

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


@dataclass(frozen=True)
class Preset:
    """A reward for each task, as the sum of its terms.

    Attributes:
        name: For logs and reports.
        affordance: Terms of a box answer, by name.
        trajectory: Terms of a trace answer, by name.
        pointing: Terms of a pointing answer, by name.
    """

    name: str
    affordance: Mapping[str, Term]
    trajectory: Mapping[str, Term]
    pointing: Mapping[str, Term] = field(default_factory=dict[str, Term])

    def terms(self, task: Task) -> Mapping[str, Term]:
        """The terms of a task, by name."""
        if task is Task.AFFORDANCE:
            return self.affordance
        return self.trajectory if task is Task.TRAJECTORY else self.pointing

    def highest(self, task: Task) -> float:
        """The total of a perfect answer: no answer earns more, none less than 0."""
        return sum(term.weight for term in self.terms(task).values() if type(term) is not NearMiss)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], where: str = "preset") -> Preset:
        """Read `{name, affordance: {term: {weight, k, ...}}, trajectory: {...}, pointing: {...}}`.

        Raises:
            UserError: an unknown key (the valid ones are listed), a wrong type, a negative
                number, or a near-miss credit that would pay more for less overlap.
        """
        named = _checked(settings, ("name", *Task), where)
        if not isinstance(named.get("name"), str):
            raise UserError(f"{where}: needs a name, a text")
        return cls(
            named["name"],
            *(_read_terms(named.get(task, {}), task, f"{where}: {task}") for task in Task),
        )

    @classmethod
    def from_yaml(cls, path: Path) -> Preset:
        """Read a preset file.

        Raises:
            UserError: the file is missing, is not YAML, or as in `from_mapping`.
        """
        import yaml  # only custom presets need it, and the core must import fast

        try:
            settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"preset {path}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"preset {path}: not YAML ({str(error).splitlines()[0]})") from error
        if not isinstance(settings, dict):
            raise UserError(f"preset {path}: expected keys name, {', '.join(Task)}")
        return cls.from_mapping(cast(dict[str, Any], settings), f"preset {path}")


def _read_terms(settings: Any, task: Task, where: str) -> dict[str, Term]:
    known = TERMS[task]
    named = _checked(settings, tuple(known), where)
    terms = {name: _read_term(known[name], named[name], f"{where}: {name}") for name in named}
    credit, overlap = terms.get("near_miss"), terms.get("iou", Flat(0.0))
    if isinstance(credit, NearMiss) and not credit.weight < credit.until * overlap.weight:
        raise UserError(
            f"{where}: near_miss: needs weight < until x the weight of iou, "
            "else more overlap could earn less"
        )
    return terms


def _read_term(kind: type[Term], settings: Any, where: str) -> Term:
    named = _checked(settings, tuple(field.name for field in fields(kind)), where)
    hints = get_type_hints(kind)
    values = {key: _read_value(named[key], hints[key], f"{where}: {key}") for key in named}
    if kind is NearMiss and not 0 < values.get("until", NearMiss.until) <= 1:
        raise UserError(f"{where}: until: must be above 0 and at most 1")
    return kind(**values)


def _read_value(value: Any, hint: Any, where: str) -> Any:
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{where}: expected a number, got {value!r}")
        if not (math.isfinite(value) and value >= 0):
            raise UserError(f"{where}: must be finite and not negative, got {value}")
        return float(value)
    valid = (True, False) if hint is bool else get_args(hint)
    if value not in valid or (hint is bool and not isinstance(value, bool)):
        raise UserError(f"{where}: choose from {', '.join(map(str, valid)).lower()}; got {value!r}")
    return value


def _checked(settings: Any, valid: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise UserError(f"{where}: expected settings by name; choose from {', '.join(valid)}")
    named = cast(Mapping[Any, Any], settings)
    unknown = [str(key) for key in named if key not in valid]
    if unknown:
        raise UserError(
            f"{where}: unknown key {', '.join(unknown)}; choose from {', '.join(valid)}"
        )
    return dict(named)


def _path_terms(k: float, shape: Any, **weights: float) -> dict[str, Term]:
    return {name: Distance(weight, k, shape=shape) for name, weight in weights.items()}


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # The paper's terms at unit weight; its k was never published, ours makes 5 % of the
        # diagonal score .61 and 20 % score .14 in each term.
        Preset(
            "paper",
            {"format": Flat(), "iou": Flat()},
            {"format": Flat(), **_path_terms(10.0, "exp", dfd=1, hd=1, rmse=1, end=1)},
            {"format": Flat(), "inside": Flat()},
        ),
        # The published code's weights on the paper's terms.
        Preset(
            "weighted",
            {"format": Flat(), "iou": Flat()},
            {"format": Flat(), **_path_terms(10.0, "exp", dfd=0.25, hd=0.15, rmse=0.2, end=0.4)},
            {"format": Flat(), "inside": Flat()},
        ),
        # Ours: a slope everywhere. A real affordance box is about 3 % of the image's width, so
        # IoU alone is silent on every near miss; see docs/rewards.md.
        Preset(
            "dense",
            {"format": Flat(0.2), "iou": Flat(), "near_miss": NearMiss()},
            {
                "format": Flat(0.2),
                **_path_terms(10.0, "rational", dfd=0.25, hd=0.25, rmse=0.25, end=0.25),
            },
            {"format": Flat(0.2), "inside": Flat()},
        ),
    )
}
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
