"""Encode prompts about images as a batch from which a model can generate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.models.interface import LoadedModel, ModelInterface
from maniplvm.models.untrusted import library_errors

Message = dict[str, Any]
"""One turn of a chat: `role` and `content`, as chat templates expect them."""


@dataclass(frozen=True)
class ImageTextPrompt:
    """A prompt with one image.

    Attributes:
        text: Text of the prompt, as `PromptStyle.format` writes it.
        image: Encoded image (PNG, JPEG or WebP bytes), upright.
    """

    text: str
    image: bytes


def chat_messages(prompt: str, system: str | None = None) -> list[Message]:
    """Write a prompt as a chat: first the image, then the text.

    Args:
        prompt: Text of the prompt.
        system: System prompt; None leaves the model's own default.
    """
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    opening = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    return [*opening, {"role": "user", "content": content}]


def build_inputs(
    interface: ModelInterface, chats: Sequence[list[Message]], images: Sequence[Image.Image]
) -> Any:
    """Build the processor's tensors for chats with one image each, ready for `generate`.

    Args:
        interface: Interface of the model, or the loaded model itself.
        chats: `B` chats, each without the assistant's turn.
        images: `B` images of any mode; they are converted to RGB.

    Returns:
        A `BatchFeature` on the CPU: `input_ids` and `attention_mask` `(B, T)`, padded on the
        left; `pixel_values` and `image_grid_thw` of all images; other inputs of the model.

    Raises:
        ValueError: no chats, or their number differs from that of the images.
    """
    if not chats or len(chats) != len(images):
        raise ValueError(f"{len(chats)} chats need as many images, got {len(images)}")
    with library_errors(interface.source, "its processor cannot encode the prompts"):
        texts = [
            interface.processor.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True
            )
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
    interface: ModelInterface, prompts: Sequence[ImageTextPrompt], system: str | None = None
) -> Any:
    """Encode prompts with `build_inputs`; a loaded model gets them on its own device.

    Raises:
        ValueError: no prompts.
        UserError: an image that cannot be read; the message counts prompts from 0.
    """
    images = [decode_image(prompt.image, number) for number, prompt in enumerate(prompts)]
    chats = [chat_messages(prompt.text, system) for prompt in prompts]
    inputs = build_inputs(interface, chats, images)
    return inputs.to(interface.device) if isinstance(interface, LoadedModel) else inputs


def decode_image(data: bytes, number: int) -> Image.Image:
    """Decode the image of a prompt to RGB.

    Args:
        data: PNG, JPEG or WebP bytes.
        number: Number of the prompt, for the error message.

    Raises:
        UserError: the image cannot be read.
    """
    try:
        return decode(data)
    except RecordError as error:
        raise UserError(f"prompt {number}: {error.detail}") from error
