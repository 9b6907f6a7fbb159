"""The `<think>` and `<answer>` blocks of a completion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_STRICT_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_CONTENT = r"[^<]*+(?:<(?!/?(?:think|answer)>)[^<]*+)*+"
_FORM = re.compile(rf"\s*+<think>({_CONTENT})</think>\s*+<answer>({_CONTENT})</answer>\s*+")
_TAG = re.compile(
    r"<(/?)(think|answer)>|<(/?)(?:thinking|thought|reasoning|seed:think|\|think\|)>"
    r"|◁(/?)think▷|\[(/?)think\]",
    re.IGNORECASE,
)
"""Tags of blocks. Other families mark their reasoning with another word or other brackets: Claude and
Gemini prompts (`<thinking>`, `<thought>`), Seed (`<seed:think>`), Kimi-VL (`◁think▷`), Magistral
(`[THINK]`). The strict reading accepts `<think>` alone."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of a completion in any form.

    Attributes:
        reasoning: Content of the first think block, closed or not. None without one.
        payload: The text to search for coordinates, of bounded length.
        tagged: Whether the payload comes from an answer block.
        several: Whether other answer blocks outside the reasoning have another content.
        cut: Whether the payload was longer than its maximum.
    """

    reasoning: str | None
    payload: str
    tagged: bool
    several: bool = False
    cut: bool = False


def strict_blocks(text: str) -> tuple[str, str] | None:
    """The reasoning and the payload of a completion of the exact form.

    The form is one think block, then one answer block, with only white space around them. None for
    any other text; `strict_blocks_error` gives the reason.
    """
    match = _FORM.fullmatch(text)
    return (match[1], match[2]) if match else None


def strict_blocks_error(text: str) -> str:
    """Why `strict_blocks` gives None for a text: the value of a `ParseStatus`."""
    counts = [text.count(tag) for tag in _STRICT_TAGS]
    if max(counts) > 1:
        return "repeated_tag"
    if not (counts[2] and counts[3]):
        return "no_answer_tag"
    if not (counts[0] and counts[1]):
        return "no_think_block"
    return "text_outside_tags"


@lru_cache(maxsize=1)
def read_blocks(text: str, max_payload: int) -> Blocks:
    """Find the reasoning and the answer: the last answer block outside the reasoning.

    - Reasoning extends from `<think>` to the next `</think>`.
    - A text whose first think tag is `</think>` starts inside the reasoning, because the chat
      template opened the tag.
    - An unclosed think block ends where the next answer block opens, or at the end of the text.
    - An unclosed answer block ends at the next tag, or at the end of the text.
    - Without an answer block, the payload is all text outside the reasoning.
    - Between `<think>` and `</think>`, or `<answer>` and `</answer>`, tags of another spelling are
      content, as in the strict reading.

    Args:
        text: The completion.
        max_payload: Maximum length of the payload. An answer block is cut at its end, other text
            at its start.
    """
    tags = _tags(text)
    spans = _reasoning_spans(text, tags)
    reasoning = text[slice(*spans[0])] if spans else None
    answers = [text[start:end].strip() for start, end in _answers(text, tags, spans)]
    if answers:
        last = answers[-1]
        several = any(answer != last for answer in answers)
        return Blocks(reasoning, last[:max_payload], True, several, len(last) > max_payload)
    outside, position = list[str](), 0
    for start, end in spans:
        outside.append(text[position:start])
        position = end
    outside.append(text[position:])
    payload = _TAG.sub("\n", "\n".join(outside)).strip()
    return Blocks(reasoning, payload[-max_payload:], False, cut=len(payload) > max_payload)


_Tag = tuple[int, int, str, bool]


def _tags(text: str) -> list[_Tag]:
    """Start, end, block and whether it closes of each tag that is not the content of a block."""
    tags = list[_Tag]()
    opened, kept = "", 0  # the strict tag that was opened last, and the tags until then
    for match in _TAG.finditer(text):
        strict = match[0] if match[0] in _STRICT_TAGS else ""
        if opened and strict == f"</{opened}>":
            del tags[kept:]
        tags.append(
            (
                match.start(),
                match.end(),
                (match[2] or "think").lower(),
                any(match.group(1, 3, 4, 5)),
            )
        )
        if strict:
            opened, kept = "" if match[1] else match[2], len(tags)
    return tags


def _reasoning_spans(text: str, tags: list[_Tag]) -> list[tuple[int, int]]:
    """Start and end of each reasoning block, in order."""
    thinks = [tag for tag in tags if tag[2] == "think"]
    spans = list[tuple[int, int]]()
    opened = 0 if thinks and thinks[0][3] else None
    for start, end, _, closing in thinks:
        if closing and opened is not None:
            spans.append((opened, start))
            opened = None
        elif not closing and opened is None:
            opened = end
    if opened is not None:
        answers = (start for start, _, name, closing in tags if name == "answer" and not closing)
        spans.append((opened, next((start for start in answers if start >= opened), len(text))))
    return spans


def _answers(
    text: str, tags: list[_Tag], spans: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Start and end of the content of each answer block that opens outside the reasoning."""
    current = 0
    for index, (start, end, name, closing) in enumerate(tags):
        if name != "answer" or closing:
            continue
        while current < len(spans) and spans[current][1] <= start:
            current += 1
        if current < len(spans) and spans[current][0] <= start:
            continue
        yield end, tags[index + 1][0] if index + 1 < len(tags) else len(text)
