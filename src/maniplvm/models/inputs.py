"""Questions about images as a batch that a model can generate from, and its replies as text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from maniplvm.errors import UserError
from maniplvm.models.loading import LoadedModel, ModelInterface
from maniplvm.optional import torch

Message = dict[str, Any]
"""One turn of a chat: `role` and `content`, as chat templates expect them."""


@dataclass(frozen=True)
class Question:
    """A prompt about one image.

    Attributes:
        prompt: The whole question, as `PromptStyle.ask` writes it.
        image: The encoded image (PNG, JPEG or WebP bytes), upright.
    """

    prompt: str
    image: bytes


def chat_messages(prompt: str, system: str | None = None) -> list[Message]:
    """One question as a chat: the image first, then the text.

    Args:
        prompt: The question.
        system: What stands before it, or None for the model's own default.
    """
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    opening = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    return [*opening, {"role": "user", "content": content}]


def build_inputs(
    interface: ModelInterface, chats: Sequence[list[Message]], images: Sequence[Image.Image]
) -> Any:
    """The processor's tensors for chats about one image each, ready for `generate`.

    Args:
        interface: The model's, or the loaded model itself.
        chats: `B` chats, each ending where the model is to reply.
        images: `B` images; any mode, converted to RGB.

    Returns:
        A `BatchFeature` on the CPU: `input_ids` and `attention_mask` `(B, T)`, padded on the
        left; `pixel_values` and `image_grid_thw` of all images; whatever else the model takes.

    Raises:
        ValueError: not one image for every chat, or none at all.
    """
    if not chats or len(chats) != len(images):
        raise ValueError(f"{len(chats)} chats need as many images, got {len(images)}")
    texts = [
        interface.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        for chat in chats
    ]
    return interface.processor(
        text=texts,
        images=[[image.convert("RGB")] for image in images],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )


def encode_batch(
    interface: ModelInterface, questions: Sequence[Question], system: str | None = None
) -> Any:
    """Questions as `build_inputs` makes them; on the model's device if it is loaded.

    Raises:
        ValueError: no question.
        UserError: an image that cannot be read; the error counts questions from 0.
    """
    images = [decode_image(question.image, number) for number, question in enumerate(questions)]
    chats = [chat_messages(question.prompt, system) for question in questions]
    inputs = build_inputs(interface, chats, images)
    return inputs.to(interface.device) if isinstance(interface, LoadedModel) else inputs


def generate_texts(loaded: LoadedModel, inputs: Any, **options: Any) -> list[str]:
    """Let the model reply.

    Args:
        loaded: The model.
        inputs: From `encode_batch`.
        options: Of `generate`, such as `max_new_tokens` and `do_sample`.

    Returns:
        `B` completions without prompt and special tokens.
    """
    with torch().inference_mode():
        tokens = loaded.model.generate(**inputs, **options)
    replies = tokens[:, inputs["input_ids"].shape[1] :]
    return loaded.tokenizer.batch_decode(replies, skip_special_tokens=True)


def decode_image(data: bytes, number: int) -> Image.Image:
    """A question's image in RGB.

    Args:
        data: PNG, JPEG or WebP.
        number: Of the question, for an error.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"question {number}: its image cannot be read ({error})") from error
