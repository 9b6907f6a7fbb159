"""Settings of a recipe that an engine cannot follow: each is refused by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from maniplvm.errors import UserError
from maniplvm.training import Recipe

Check = tuple[str, bool, str]
"""A setting, whether the recipe asks for it, and what to do instead."""


def refuse_settings(recipe: Recipe, checks: Iterable[Check]) -> None:
    """Refuse the first setting that a recipe asks for.

    Raises:
        UserError: such a setting; the message names it and what to do.
    """
    for name, is_set, advice in checks:
        if is_set:
            raise UserError(f"{recipe.where}: {name}: {advice}")


def common_checks(recipe: Recipe, engine: str) -> list[Check]:
    """Settings that only `maniplvm train grpo` can follow."""
    model = recipe.model
    return [
        (
            "rewards.physics",
            recipe.rewards.physics is not None,
            "physics runs only in `maniplvm train grpo`; remove it",
        ),
        (
            "model.adapter",
            model.adapter is not None,
            "merge it first: use the `model/` folder of the run that trained it as model.source",
        ),
        (
            "model.device",
            model.device != "auto" and not model.device.startswith("cuda"),
            f"{engine} places the model on GPUs; remove it",
        ),
        (
            "time_limit_minutes",
            recipe.time_limit_minutes is not None,
            f"{engine} has no time limit; remove it, and stop {engine} yourself: it resumes",
        ),
        (
            "trainer.use_cpu",
            bool(recipe.trainer.get("use_cpu")),
            f"{engine} trains on GPUs; remove it",
        ),
    ]


def refuse_unmapped(recipe: Recipe, config: Any, known: Collection[str], engine: str) -> None:
    """Check that every setting under `trainer` is known to an export, or is TRL's default.

    Args:
        recipe: The recipe.
        config: A `trl.GRPOConfig`, for its defaults.
        known: Names of settings that are mapped, or do not change what is learned.
        engine: Name of the engine, for messages.

    Raises:
        UserError: another setting, by name.
    """
    defaults = {each.name: each.default for each in fields(config)}
    for name, value in recipe.trainer.items():
        if name not in known and value != defaults[name]:
            raise UserError(
                f"{recipe.where}: trainer.{name}: {engine} has no such setting; remove it, or train "
                "with `maniplvm train grpo`"
            )


@dataclass(frozen=True)
class ValueRefusal:
    """Refuses values of settings under `trainer`.

    Attributes:
        recipe: The recipe.
        engine: Name of the engine, for messages.
    """

    recipe: Recipe
    engine: str

    def __call__(
        self, name: str, value: Any, choices: Iterable[Any], addition: str = ""
    ) -> NoReturn:
        """Refuse the value of a setting.

        Raises:
            UserError: always; the message names the setting and the values that the engine can
                follow.
        """
        valid = ", ".join(map(str, choices))
        end = f" {addition}" if addition else ""
        raise UserError(
            f"{self.recipe.where}: trainer.{name} is {value}; {self.engine} can follow "
            f"{valid}{end}; set one of them"
        )
