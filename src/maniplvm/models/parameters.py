"""Which of a model's parameters learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maniplvm.errors import UserError


@dataclass(frozen=True)
class ParameterCount:
    """How many parameters a model has, and how many of them learn.

    Attributes:
        total: All of them; shared ones count once.
        trainable: Those that a trainer would change.
        vision: Those of the vision tower, its projection into the language model included.
        vision_trainable: Those of them that would change.
    """

    total: int
    trainable: int
    vision: int
    vision_trainable: int

    def __str__(self) -> str:
        share = self.trainable / self.total if self.total else 0.0
        tower = f"{_short(self.vision_trainable)} trainable" if self.vision_trainable else "frozen"
        return (
            f"{_short(self.total)} parameters, {_short(self.trainable)} trainable ({share:.2%}); "
            f"vision tower {_short(self.vision)}, {tower}"
        )


def count_parameters(model: Any) -> ParameterCount:
    """Count the parameters of a model with a vision tower, wrapped by peft or not."""
    tower = list(vision_tower(model).parameters())
    everything = list(model.parameters())
    return ParameterCount(
        total=_elements(everything),
        trainable=_elements([each for each in everything if each.requires_grad]),
        vision=_elements(tower),
        vision_trainable=_elements([each for each in tower if each.requires_grad]),
    )


def vision_tower(model: Any) -> Any:
    """The module that turns images into image tokens.

    Raises:
        UserError: the model has none that can be told from the rest.
    """
    base = base_model(model)
    tower = base.get_encoder(modality="image")
    if tower is base or tower is base.base_model:
        raise UserError(f"{type(base).__name__} has no vision tower of its own")
    return tower


def base_model(model: Any) -> Any:
    """The model of transformers, without the wrapper of peft."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def freeze_vision_tower(model: Any) -> None:
    """Keep a trainer from changing the vision tower, its projection included.

    Raises:
        UserError: the model has no vision tower of its own.
    """
    vision_tower(model).requires_grad_(False)


def _elements(parameters: list[Any]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _short(count: int) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return str(count)
