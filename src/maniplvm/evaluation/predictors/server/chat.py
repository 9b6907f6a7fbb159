"""The chat-completions format: a request about one image, and the parsed response."""

from __future__ import annotations

import base64
import io
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from PIL import Image

from maniplvm.data.images import check_image, decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.server.family import limited_frame, sent_size
from maniplvm.geometry import Frame, FrameSpec, declared_frame
from maniplvm.geometry.frames import Size
from maniplvm.models import Decoding
from maniplvm.models.families import Family
from maniplvm.tasks import Task
from maniplvm.text import encodable, shortened

Body = dict[str, Any]
"""A request or a response, as JSON."""

REFUSAL = "refusal"
"""Finish reason of a completion whose text comes from the response's `refusal` field."""

_ERROR_REASONS = ("error",)
"""Finish reasons that some routers send instead of an HTTP error status."""

_MAX_REASON = 40
"""Longest recorded finish reason, in characters."""

_MAX_TOKENS = 2**31
"""Largest token count that is believed."""

_RESERVED = ("model", "messages", "n", "stream", "temperature", "top_p", "seed")


@dataclass(frozen=True)
class ChatCompletion:
    """The completion of a served model.

    Attributes:
        text: The unchanged text; empty if the model wrote none.
        finish: The server's finish reason (`stop`, `length`, ...) or `refusal`; None if missing.
        prompt_tokens: Tokens of the prompt with its image, if the server counts them.
        completion_tokens: Tokens of the completion, if the server counts them.
    """

    text: str
    finish: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True)
class RequestBuilder:
    """Builds the requests to a served model.

    Attributes:
        model: The model's name on the server.
        family: The family, which decides prompt and coordinate frame.
        decoding: Greedy or sampled.
        max_pixels: The largest image area that the model gets [px squared]; None sets no limit.
        extra: Further fields of every request; None removes a field.

    Raises:
        UserError: as `limited_frame`, or an extra field that this class sets itself.
    """

    model: str
    family: Family
    decoding: Decoding
    max_pixels: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        clash = [name for name in self.extra if name in _RESERVED]
        if clash:
            raise UserError(f"--extra: {', '.join(clash)} is reserved or has its own option")
        _ = self.frame_spec

    @cached_property
    def frame_spec(self) -> FrameSpec:
        """The coordinate frame of the model's answers."""
        return limited_frame(self.family, self.max_pixels)

    @cached_property
    def declared_frame(self) -> str | dict[str, Any]:
        """The same frame, as a predictions file declares it."""
        return declared_frame(self.frame_spec)

    def frame(self, size: Size, where: str) -> Frame:
        """The frame on one image.

        Args:
            size: The original image's size [px].
            where: A name of the image for error messages.

        Raises:
            UserError: the model does not accept this size.
        """
        try:
            return self.frame_spec.bind(size)
        except ValueError as error:
            raise UserError(f"{where}: the model refuses its size: {error}") from error

    def body(
        self, instruction: str, task: Task, image: bytes, size: Size, where: str, seed: int
    ) -> Body:
        """The request for one sample: the image first, then the prompt.

        The order is that of `models.chat_messages`. A greedy request has neither `top_p` nor `seed`.

        Args:
            instruction: The robot's instruction.
            task: The task.
            image: The encoded image, upright.
            size: Its `(width, height)` [px].
            where: A name of the image for error messages.
            seed: The seed of this draw.

        Raises:
            UserError: an image that cannot be decoded, has another size, or is not accepted.
        """
        prompt = self.family.prompt.format(instruction, task, self.frame(size, where))
        sent = sent_size(self.family, self.max_pixels, size)
        content = [
            {"type": "image_url", "image_url": {"url": _data_url(image, size, sent, where)}},
            {"type": "text", "text": prompt},
        ]
        decoding = self.decoding
        sampled = {"top_p": decoding.top_p, "seed": seed} if decoding.temperature else {}
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": decoding.temperature,
            **sampled,
            "max_tokens": decoding.max_new_tokens,
            **self.extra,
        }
        return {name: value for name, value in body.items() if value is not None}


def parse_completion(body: Any) -> ChatCompletion:
    """The first choice of a response.

    An empty text, a text that was cut, and a refusal are completions too.

    Raises:
        ValueError: there is no completion; the message says why.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if choice is None or message is None or not isinstance(message, dict):
        raise ValueError("it has no choice with a message")
    finish = choice.get("finish_reason")
    if finish in _ERROR_REASONS:
        raise ValueError(f"its choice has the finish reason {finish}")
    content, refusal = _text(message.get("content")), message.get("refusal")
    if not content and isinstance(refusal, str) and refusal:
        content, finish = refusal, REFUSAL
    usage = body.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    return ChatCompletion(
        encodable(_with_reasoning(content, message)),
        shortened(finish, _MAX_REASON) if isinstance(finish, str) else None,
        _count(counted.get("prompt_tokens")),
        _count(counted.get("completion_tokens")),
    )


def _data_url(data: bytes, size: Size, sent: Size, where: str) -> str:
    """The image as a `data:` URL, resized to the size that is sent."""
    try:
        checked = check_image(data, f"the image of {where}")
    except RecordError as error:
        raise UserError(f"{error.code}: {error.detail}") from error
    if checked.size != size:
        raise UserError(
            f"{where}: its image is {checked.size[0]}x{checked.size[1]}, but the data set says "
            f"{size[0]}x{size[1]}; import the data again"
        )
    if sent == size:
        data = checked.data
        with Image.open(io.BytesIO(data)) as opened:
            media_type = Image.MIME[str(opened.format)]
    else:
        buffer = io.BytesIO()
        decode(data).resize(sent, Image.Resampling.BICUBIC).save(buffer, "PNG")
        data, media_type = buffer.getvalue(), "image/png"
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _text(content: Any) -> str:
    """The content, or its text parts joined."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    raise ValueError(f"its content is not a string but {reprlib.repr(content)}")


def _with_reasoning(content: str, message: Mapping[str, Any]) -> str:
    """The whole completion, if the server moved the reasoning into a field of its own.

    A reasoning parser of a server may put a whole completion into that field if the model does not
    reason. Then an `<answer>` block shows that the field holds the completion.
    """
    for name in ("reasoning_content", "reasoning"):
        reasoning = message.get(name)
        if isinstance(reasoning, str) and reasoning and "<think>" not in content:
            if not content and "<answer>" in reasoning:
                return reasoning
            return f"<think>{reasoning}</think>{content}"
    return content


def _count(number: Any) -> int | None:
    return number if type(number) is int and 0 <= number <= _MAX_TOKENS else None
