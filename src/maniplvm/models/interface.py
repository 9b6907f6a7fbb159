"""A model together with its processor, prompts and coordinate frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import Frame, FrameSpec
from maniplvm.models.checkpoint import quiet_unless_terminal
from maniplvm.models.families import Family
from maniplvm.models.parameters import (
    ParameterCount,
    base_model,
    count_parameters,
    find_non_finite,
)
from maniplvm.models.processor import count_image_tokens
from maniplvm.tasks import PromptStyle


@dataclass(frozen=True, eq=False)
class ModelInterface:
    """Processor, prompts and coordinate frame of a model, without its weights.

    Attributes:
        source: Folder or id from which it was loaded.
        family: Family that fixes the prompts and the coordinate frame.
        frame_spec: Frame of the family, with the image sizes of this checkpoint's processor.
        processor: Processor of transformers; its tokenizer pads on the left.
    """

    source: str
    family: Family
    frame_spec: FrameSpec
    processor: Any

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def prompt(self) -> PromptStyle:
        """The prompts of the family."""
        return self.family.prompt

    def frame_for(self, image_size: tuple[int, int]) -> Frame:
        """Coordinate frame on one image; its view ends at the size that the processor makes.

        Args:
            image_size: `(width, height)` [px] of the original.

        Raises:
            ValueError: the processor would refuse an image of this size.
        """
        return self.frame_spec.bind(image_size)

    def image_tokens(self, image_size: tuple[int, int]) -> int:
        """Number of prompt tokens of one image.

        Args:
            image_size: `(width, height)` [px] of the original.
        """
        return count_image_tokens(self.processor, image_size)


@dataclass(frozen=True, eq=False)
class LoadedModel(ModelInterface):
    """A model in memory, together with its interface.

    Attributes:
        model: Model of transformers, or the `PeftModel` around it.
    """

    model: Any

    @property
    def device(self) -> Any:
        """The `torch.device` of its weights."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> Any:
        """The `torch.dtype` of its weights, without those of adapters."""
        return base_model(self.model).dtype

    @property
    def parameters(self) -> ParameterCount:
        """The numbers of all parameters and of the trainable ones."""
        return count_parameters(self.model)

    def save(self, folder: str | Path) -> None:
        """Write a checkpoint that `load_model` and plain transformers can load.

        A model with adapters writes only them (`load_model(base, adapter=folder)`).

        Raises:
            UserError: a weight is NaN or infinite; nothing is written.
        """
        if (name := find_non_finite(self.model)) is not None:
            raise UserError(f"{folder}: not written, because the weight {name} is not finite")
        with quiet_unless_terminal():
            self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
