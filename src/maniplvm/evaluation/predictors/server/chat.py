"""The chat-completions format: a question about one image, and what came back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.models import Decoding

Body = dict[str, Any]
"""A request or a response, as JSON."""

FILTERED = "content_filter"
"""How a service ends, or refuses, a question that its filter does not like."""

REFUSAL = "refusal"
"""How an answer ends that is the service's refusal, in its own field."""

_ANSWERED_IN_VAIN = ("error",)
"""Ends that some routers report instead of an error's status."""


@dataclass(frozen=True)
class ChatReply:
    """What a served model wrote.

    Attributes:
        text: Untouched; empty if it wrote nothing.
        finish: Why it ended, in the server's word (`stop`, `length`, ...) or `refusal`; None where
            the server does not say.
        prompt_tokens: Of the question, the image's included, where the server counts them.
        completion_tokens: Of the answer.
    """

    text: str
    finish: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


def image_url(data: bytes, media_type: str) -> str:
    """An image as a `data:` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def chat_body(
    model: str,
    prompt: str,
    image: str,
    decoding: Decoding,
    seed: int,
    extra: Mapping[str, Any],
) -> Body:
    """A request: the image first, then the text, as `models.chat_messages` has it.

    Args:
        model: What the server calls it.
        prompt: The question.
        image: From `image_url`.
        decoding: Greedy or sampled; a greedy request sends neither `top_p` nor `seed`.
        seed: Of this very draw.
        extra: Further fields, which win; None takes a field away.
    """
    content = [
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "text", "text": prompt},
    ]
    sampled = {"top_p": decoding.top_p, "seed": seed} if decoding.temperature else {}
    body = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "temperature": decoding.temperature,
        **sampled,
        "max_tokens": decoding.max_new_tokens,
        **extra,
    }
    return {name: value for name, value in body.items() if value is not None}


def read_reply(body: Any) -> ChatReply:
    """The first choice of a response.

    Odd answers are answers: empty ones, cut ones, refusals. What is no answer at all is an error.

    Raises:
        ValueError: no such response; says what is wrong with it.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if choice is None or message is None or not isinstance(message, dict):
        raise ValueError("it holds no choice with a message")
    finish = choice.get("finish_reason")
    if finish in _ANSWERED_IN_VAIN:
        raise ValueError(f"its choice ended with {finish!r}")
    content, refusal = _text(message.get("content")), message.get("refusal")
    if not content and isinstance(refusal, str) and refusal:
        content, finish = refusal, REFUSAL
    usage = body.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    return ChatReply(
        _with_reasoning(content, message),
        finish if isinstance(finish, str) else None,
        _count(counted.get("prompt_tokens")),
        _count(counted.get("completion_tokens")),
    )


def _text(content: Any) -> str:
    """A text, or the texts among parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    raise ValueError(f"its content is no text but {content!r:.40}")


def _with_reasoning(content: str, message: Mapping[str, Any]) -> str:
    """The whole completion again, where the server has cut the reasoning out of it."""
    for field in ("reasoning_content", "reasoning"):
        reasoning = message.get(field)
        if isinstance(reasoning, str) and reasoning and "<think>" not in content:
            return f"<think>{reasoning}</think>{content}"
    return content


def _count(number: Any) -> int | None:
    return number if type(number) is int and number >= 0 else None
