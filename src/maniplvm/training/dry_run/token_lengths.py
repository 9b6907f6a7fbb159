"""Token counts of a recipe's images, prompts and reference completions; no weights are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.geometry import Frame
from maniplvm.models import ModelInterface, chat_messages
from maniplvm.tasks import PromptStyle, Sample
from maniplvm.training.data.rows import reference_completion


@dataclass(frozen=True)
class LengthSummary:
    """Minimum, median and maximum of token counts."""

    least: int
    median: int
    most: int

    @classmethod
    def of(cls, counts: Sequence[int]) -> LengthSummary:
        """The summary of one or more counts."""
        return cls(min(counts), int(np.median(counts)), max(counts))

    def __str__(self) -> str:
        if self.least == self.most:
            return str(self.most)
        return f"{self.least} to {self.most}, median {self.median}"


@dataclass(frozen=True)
class TokenLengths:
    """Token counts of every sample, in the order of the samples.

    Attributes:
        image: Tokens of the image alone.
        prompt: Tokens of the prompt with the chat template and the image.
        target: Tokens of the reference completion with reasoning and end of turn. A policy needs
            at least about as many, and more if it writes longer reasoning.
    """

    image: tuple[int, ...]
    prompt: tuple[int, ...]
    target: tuple[int, ...]

    @property
    def together(self) -> tuple[int, ...]:
        """Tokens of prompt and reference completion together."""
        return tuple(map(sum, zip(self.prompt, self.target, strict=True)))


def measure_lengths(
    samples: Sequence[Sample], interface: ModelInterface, prompts: PromptStyle
) -> TokenLengths:
    """Count the tokens of samples as in training.

    Args:
        samples: The samples; only the sizes of their images are needed.
        interface: Processor, tokenizer and coordinate frame of the model.
        prompts: The prompt templates.

    Raises:
        UserError: the processor refuses the size of an image.
    """
    frames = [_frame(interface, sample) for sample in samples]
    image = [interface.image_tokens(sample.image_size) for sample in samples]
    texts = [
        interface.processor.apply_chat_template(
            chat_messages(prompts.format(sample.instruction, sample.task, frame)),
            tokenize=False,
            add_generation_prompt=True,
        )
        for sample, frame in zip(samples, frames, strict=True)
    ]
    targets = [
        reference_completion(sample, frame) for sample, frame in zip(samples, frames, strict=True)
    ]
    # The template writes one placeholder, which the processor expands to all image tokens.
    return TokenLengths(
        image=tuple(image),
        prompt=tuple(
            count - 1 + tokens
            for count, tokens in zip(_counts(interface, texts), image, strict=True)
        ),
        target=tuple(count + 1 for count in _counts(interface, targets)),
    )


def _frame(interface: ModelInterface, sample: Sample) -> Frame:
    try:
        return interface.frame_for(sample.image_size)
    except ValueError as error:
        raise UserError(f"sample {sample.id!r}: {error}") from error


def _counts(interface: ModelInterface, texts: list[str]) -> list[int]:
    encoded: Any = interface.tokenizer(texts, add_special_tokens=False)
    return [len(tokens) for tokens in encoded["input_ids"]]
