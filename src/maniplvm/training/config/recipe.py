"""Recipes: the complete definition of a training run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from maniplvm.config import build, to_mapping, unknown_key, validated
from maniplvm.config.settings import NOT_IN_FILE
from maniplvm.config.yaml import PARSE_ERRORS, NumberError, parse_yaml, read_yaml
from maniplvm.errors import UserError
from maniplvm.models import LoraSettings
from maniplvm.models.shipped import EMBEDDED
from maniplvm.rewards.presets import PRESETS, Preset, resolve_preset
from maniplvm.tasks import PromptStyle, Task
from maniplvm.text import shortened
from maniplvm.training.config.launch import LaunchSettings
from maniplvm.training.config.physics_settings import PhysicsSettings
from maniplvm.training.shared_prefix import SharedPrefixSettings

METHODS = ("sft", "grpo")
"""The training methods."""

JOINT = "joint"
TASKS = (*(task.value for task in Task), JOINT)
"""Valid values of `data.task`; `joint` is both boxes and traces."""

_YAML = (".yaml", ".yml")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@validated
@dataclass(frozen=True)
class ModelSettings:
    """The starting model: the arguments of `models.load_model` by their own names."""

    source: str
    family: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    attn: str = "sdpa"
    lora: LoraSettings | None = None
    adapter: str | None = None
    freeze_vision: bool = False
    min_pixels: int | None = None
    max_pixels: int | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    def load_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `models.load_model`, without `source`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "source"}

    def interface_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `models.load_interface`, without `source`."""
        names = ("family", "min_pixels", "max_pixels", "revision", "trust_remote_code")
        return {name: getattr(self, name) for name in names}


@validated
@dataclass(frozen=True)
class MixSettings:
    """Prompts from another data set.

    Attributes:
        path: A stored data set.
        share: Share of an epoch's prompts that come from this data set, in (0, 1).
        split: The split of this data set.
    """

    path: str
    share: float
    split: str = "train"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(f"data.mix: share must lie between 0 and 1, got {self.share:g}")


@validated
@dataclass(frozen=True)
class DataSettings:
    """The training data.

    Attributes:
        path: A stored data set.
        split: The split of the data set.
        task: One of `TASKS`.
        fraction: Share of the samples that is used, in (0, 1]. A smaller fraction is a subset of a
            larger one. Categories are reduced evenly, and scenes are never divided.
        mix: Prompts from other data sets.
    """

    path: str
    split: str = "train"
    task: str = JOINT
    fraction: float = 1.0
    mix: tuple[MixSettings, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(f"data.task: choose from {', '.join(TASKS)}; got {self.task!r}")
        if not 0 < self.fraction <= 1:
            raise UserError(f"data.fraction: must lie above 0 and at most 1, got {self.fraction:g}")
        if sum(source.share for source in self.mix) >= 1:
            raise UserError("data.mix: the shares must add up to less than 1")


@validated
@dataclass(frozen=True)
class RewardSettings:
    """The reward.

    Attributes:
        preset: The name of a preset, or its settings (`rewards.resolve_preset`).
        physics: Reward terms from simulation, without labels; GRPO only.
    """

    preset: str | Mapping[str, Any] = "dense"
    physics: PhysicsSettings | None = None


@validated
@dataclass(frozen=True)
class MonitorSettings:
    """Sample completions that are logged during training.

    Attributes:
        samples_every: Optimizer steps between two logs of completions; 0 logs none.
        samples: Completions in one log.
    """

    samples_every: int = 50
    samples: int = 8

    def __post_init__(self) -> None:
        if self.samples_every < 0 or self.samples < 1:
            raise UserError(
                "monitor: samples_every must be 0 or more and samples 1 or more, "
                f"got {self.samples_every} and {self.samples}"
            )


@validated
@dataclass(frozen=True)
class Recipe:
    """The definition of a training run; read one with `read_recipe`.

    Attributes:
        name: Name of the run and of its folder: letters, digits, `-`, `_` and `.`.
        model: The starting model.
        data: The training data.
        seed: Random seed of the run.
        prompts: Prompt templates by task that replace those of the model family.
        rewards: The reward; SFT only logs it.
        shared_prefix: Computation that the completions of one prompt share; GRPO only.
        monitor: Sample completions that are logged.
        launch: How the run is meant to be launched; None is one process. It is no part of the
            experiment: an unfinished run may resume under another launch.
        trainer: Fields of `trl.SFTConfig` or `trl.GRPOConfig`, by their own names.
        time_limit_minutes: Training time after which the run ends, resumed parts included. The
            learning rate schedule does not change. None sets no limit.
        where: The file, for error messages; not part of the recipe.
    """

    name: str
    model: ModelSettings
    data: DataSettings
    seed: int = 0
    prompts: Mapping[str, str] = field(default_factory=dict)
    rewards: RewardSettings = field(default_factory=RewardSettings)
    shared_prefix: SharedPrefixSettings = field(default_factory=SharedPrefixSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    launch: LaunchSettings | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)
    time_limit_minutes: float | None = None
    where: str = field(default="recipe", compare=False, metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f"name: {self.name!r} names a folder; use letters, digits, - _ and . only"
            )
        if self.seed < 0:
            raise UserError(f"seed: must not be negative, got {self.seed}")
        if self.time_limit_minutes is not None and not self.time_limit_minutes > 0:
            raise UserError(f"time_limit_minutes: must be above 0, got {self.time_limit_minutes:g}")
        for key in self.prompts:
            if key not in tuple(Task):
                raise UserError(f"prompts: {unknown_key(key, tuple(Task))}")
        PromptStyle(self.name, **self.prompts)
        resolve_preset(self.rewards.preset)

    @property
    def preset(self) -> Preset:
        """The reward preset."""
        return resolve_preset(self.rewards.preset)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are trained."""
        both = (Task.AFFORDANCE, Task.TRAJECTORY)
        return both if self.data.task == JOINT else (Task(self.data.task),)

    def to_mapping(self) -> dict[str, Any]:
        """The recipe as settings for YAML or JSON; `build_recipe` reads them back."""
        return to_mapping(self)


def read_recipe(path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe file.

    Relative paths are resolved in the current folder first, then in the folder of the file.

    Args:
        path: A YAML file.
        changes: Settings that override the file, each as `key.path=value` (the value in YAML).

    Raises:
        UserError: an invalid setting; the message names file, key and valid choices.
    """
    path = Path(path)
    settings = read_yaml(path, "recipe")
    for change in changes:
        _apply(settings, change)
    return build_recipe(settings, str(path), path.parent)


def build_recipe(settings: Mapping[str, Any], where: str, beside: Path | None = None) -> Recipe:
    """Build a recipe from settings.

    Args:
        settings: The content of a recipe file.
        where: The source of the settings, for error messages.
        beside: The folder for relative paths that do not exist in the current folder.

    Raises:
        UserError: as `read_recipe`.
    """
    located = settings if beside is None else _located(settings, beside)
    return replace(build(Recipe, located, where), where=where)


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """The first key at which two settings differ, such as `trainer.learning_rate`, or None."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in (*one, *(key for key in other if key not in one)):
            below = f"{path}.{key}" if path else str(key)
            if (key in one) != (key in other):
                return below
            found = first_difference(one[key], other[key], below)
            if found is not None:
                return found
        return None
    return None if one == other else path


def _located(settings: Mapping[str, Any], beside: Path) -> dict[str, Any]:
    """The settings with resolved paths, and a preset's file replaced by its content."""
    located = {key: dict(v) if isinstance(v, Mapping) else v for key, v in settings.items()}
    model, data, rewards = (located.get(key) for key in ("model", "data", "rewards"))
    launch = located.get("launch")
    if isinstance(launch, dict) and isinstance(launch.get("accelerate"), str):
        _point_at_file(launch, "accelerate", beside)
        launch["accelerate"] = os.path.normpath(launch["accelerate"])
    if isinstance(model, dict):
        if model.get("source") != EMBEDDED:
            _point_at_file(model, "source", beside)
        _point_at_file(model, "adapter", beside)
    if isinstance(data, dict):
        _point_at_file(data, "path", beside)
        if isinstance(data.get("mix"), list):
            data["mix"] = [
                dict(each) if isinstance(each, Mapping) else each for each in data["mix"]
            ]
            for each in data["mix"]:
                if isinstance(each, dict):
                    _point_at_file(each, "path", beside)
    if isinstance(rewards, dict) and isinstance(rewards.get("preset"), str):
        _point_at_file(rewards, "preset", beside)
        if rewards["preset"] not in PRESETS and Path(rewards["preset"]).suffix in _YAML:
            rewards["preset"] = read_yaml(Path(rewards["preset"]), "preset")
    return located


def _point_at_file(settings: dict[str, Any], key: str, beside: Path) -> None:
    """Point a relative path at the file beside the recipe, if the current folder lacks it."""
    value = settings.get(key)
    if not isinstance(value, str) or Path(value).expanduser().exists():
        return
    if (beside / value).exists():
        settings[key] = str(beside / value)


def _apply(settings: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UserError(f"--set {change}: expected key.path=value, such as trainer.max_steps=10")
    try:
        value = parse_yaml(text)
    except NumberError as error:
        raise UserError(f"--set {shortened(change, 200)}: {error}") from error
    except PARSE_ERRORS as error:
        raise UserError(f"--set {shortened(change, 200)}: the value is not YAML") from error
    for part in parts[:-1]:
        inner = settings.get(part)
        settings[part] = dict(inner) if isinstance(inner, Mapping) else {}
        settings = settings[part]
    settings[parts[-1]] = value
