"""Count, find and freeze the parameters of a model and of its vision tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maniplvm.errors import UserError
from maniplvm.optional import torch


@dataclass(frozen=True)
class ParameterCount:
    """Numbers of a model's parameters.

    Attributes:
        total: Number of all parameters; shared ones count once.
        trainable: Number of parameters that a trainer updates.
        vision: Number of parameters of the vision tower, its projection into the language model
            included.
        vision_trainable: Number of trainable parameters of the vision tower.
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
    """Find the module that turns images into image tokens.

    Raises:
        UserError: the model has no separate vision tower.
    """
    base = base_model(model)
    tower = base.get_encoder(modality="image")
    if tower is base or tower is base.base_model:
        raise UserError(f"{type(base).__name__} has no separate vision tower")
    return tower


def base_model(model: Any) -> Any:
    """The model of transformers, without the wrapper of peft."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def freeze_vision_tower(model: Any) -> None:
    """Freeze the vision tower and its projection.

    Raises:
        UserError: the model has no separate vision tower.
    """
    vision_tower(model).requires_grad_(False)


def find_non_finite(model: Any, *, trainable_only: bool = False) -> str | None:
    """The name of the first parameter that holds NaN or infinity; None if there is none.

    Args:
        model: A model of PyTorch. Of sharded parameters, the part of this process is checked.
        trainable_only: Whether only parameters that a trainer updates are checked.
    """
    library = torch()
    parameters = [
        (name, getattr(value, "to_local", lambda value=value: value)())
        for name, value in model.named_parameters()
        if value.requires_grad or not trainable_only
    ]
    if not parameters:
        return None
    with library.no_grad():
        finite = library.stack([value.isfinite().all().to("cpu") for _, value in parameters])
    return None if bool(finite.all()) else parameters[int(finite.int().argmin())][0]


def _elements(parameters: list[Any]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _short(count: int) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return str(count)
