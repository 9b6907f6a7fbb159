"""Where a completion reasons and where it answers: the `<think>` and `<answer>` tags."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTENT = r"[^<]*+(?:<(?!/?(?:think|answer)>)[^<]*+)*+"
_FORM = re.compile(rf"\s*+<think>({_CONTENT})</think>\s*+<answer>({_CONTENT})</answer>\s*+")
_TAG = re.compile(r"<(/?)(think|answer)>", re.IGNORECASE)


@dataclass(frozen=True)
class Blocks:
    """The best reading of a completion in any form.

    Attributes:
        reasoning: The content of the first think block, closed or not; None without one.
        payload: What is to be searched for coordinates, cut to a bounded length.
        tagged: Whether an answer tag marked the payload.
    """

    reasoning: str | None
    payload: str
    tagged: bool


def strict_blocks(text: str) -> tuple[str, str] | None:
    """The reasoning and the payload of one think block, one answer block and only blanks around.

    None for any other text; `misplaced_blocks` says what is wrong with it.
    """
    match = _FORM.fullmatch(text)
    return (match[1], match[2]) if match else None


def misplaced_blocks(text: str) -> str:
    """Why `strict_blocks` refuses a text: the name of a `ParseStatus`."""
    tags = ("<think>", "</think>", "<answer>", "</answer>")
    counts = [text.count(tag) for tag in tags]
    if max(counts) > 1:
        return "repeated_tag"
    if not (counts[2] and counts[3]):
        return "no_answer_tag"
    if not (counts[0] and counts[1]):
        return "no_think_block"
    return "text_outside_tags"


def read_blocks(text: str, max_payload: int) -> Blocks:
    """Find the answer: the last answer block that stands outside the reasoning.

    Reasoning reaches from `<think>` to the next `</think>`; a text that begins inside it (the
    template opened the tag) reasons up to its first `</think>`. A think block that is never
    closed ends where an answer block opens. An unclosed answer block reaches to the next tag or
    to the end. Without any answer block, all that is not reasoning is searched.

    Args:
        text: The completion.
        max_payload: Longest payload; of an untagged text the end is kept, of a block the start.
    """
    tags = [
        (match.start(), match.end(), match[2].lower(), bool(match[1]))
        for match in _TAG.finditer(text)
    ]
    thoughts = _thoughts(text, tags)
    reasoning = text[slice(*thoughts[0])] if thoughts else None
    payload = _last_answer(text, tags, thoughts)
    if payload is not None:
        start, end = payload
        return Blocks(reasoning, text[start : min(end, start + max_payload)], True)
    outside, position = list[str](), 0
    for start, end in thoughts:
        outside.append(text[position:start])
        position = end
    outside.append(text[position:])
    return Blocks(reasoning, "\n".join(outside)[-max_payload:], False)


_Tag = tuple[int, int, str, bool]


def _thoughts(text: str, tags: list[_Tag]) -> list[tuple[int, int]]:
    """The spans of reasoning, in order."""
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


def _last_answer(
    text: str, tags: list[_Tag], thoughts: list[tuple[int, int]]
) -> tuple[int, int] | None:
    """The content's span of the last answer block that opens outside every thought."""
    thought = len(thoughts) - 1
    for index in range(len(tags) - 1, -1, -1):
        start, end, name, closing = tags[index]
        if name != "answer" or closing:
            continue
        while thought >= 0 and thoughts[thought][0] > start:
            thought -= 1
        if thought >= 0 and start < thoughts[thought][1]:
            continue
        following = tags[index + 1][0] if index + 1 < len(tags) else len(text)
        return end, following
    return None
