"""How many tokens a recipe's prompts, images and right answers take, without any weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.geometry import Frame
from maniplvm.models import ModelInterface, chat_messages
from maniplvm.tasks import PromptStyle, Sample
from maniplvm.training.data.rows import taught_text


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of a number of tokens."""

    least: int
    median: int
    most: int

    @classmethod
    def of(cls, counts: Sequence[int]) -> Spread:
        """The spread of counts, of which there is at least one."""
        return cls(min(counts), int(np.median(counts)), max(counts))

    def __str__(self) -> str:
        if self.least == self.most:
            return str(self.most)
        return f"{self.least} to {self.most}, median {self.median}"


@dataclass(frozen=True)
class TokenLengths:
    """Tokens of every sample, in the order of the samples.

    Attributes:
        image: Of the image alone.
        prompt: Of the whole question, the image included, as the chat template writes it.
        target: Of the right answer with the reasoning that supervision teaches, end of turn
            included: what a policy needs at least, since its own reasoning may be longer.
    """

    image: tuple[int, ...]
    prompt: tuple[int, ...]
    target: tuple[int, ...]

    @property
    def together(self) -> tuple[int, ...]:
        """Question and right answer."""
        return tuple(map(sum, zip(self.prompt, self.target, strict=True)))


def measure_lengths(
    samples: Sequence[Sample], interface: ModelInterface, prompts: PromptStyle
) -> TokenLengths:
    """Count the tokens of samples as training would see them.

    Args:
        samples: With or without images; only sizes are read.
        interface: Of the model.
        prompts: How it is asked.

    Raises:
        UserError: an image of a shape that the processor refuses.
    """
    frames = [_frame(interface, sample) for sample in samples]
    image = [interface.image_tokens(sample.image_size) for sample in samples]
    asked = [
        interface.processor.apply_chat_template(
            chat_messages(prompts.ask(sample.instruction, sample.task, frame)),
            tokenize=False,
            add_generation_prompt=True,
        )
        for sample, frame in zip(samples, frames, strict=True)
    ]
    taught = [taught_text(sample, frame) for sample, frame in zip(samples, frames, strict=True)]
    # The template writes one mark for the image, and the processor turns it into all its tokens.
    return TokenLengths(
        image=tuple(image),
        prompt=tuple(
            count - 1 + tokens
            for count, tokens in zip(_counts(interface, asked), image, strict=True)
        ),
        target=tuple(count + 1 for count in _counts(interface, taught)),
    )


def _frame(interface: ModelInterface, sample: Sample) -> Frame:
    try:
        return interface.frame_for(sample.image_size)
    except ValueError as error:
        raise UserError(f"sample {sample.id!r}: {error}") from error


def _counts(interface: ModelInterface, texts: list[str]) -> list[int]:
    encoded: Any = interface.tokenizer(texts, add_special_tokens=False)
    return [len(tokens) for tokens in encoded["input_ids"]]
