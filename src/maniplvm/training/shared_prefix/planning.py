"""Which completions share a row, and which rows share a forward pass: the memory budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Block:
    """A prompt and a run of its completions, side by side in one row.

    Attributes:
        prompt: Number of the prompt.
        first: Number of its first completion here.
        count: How many completions follow.
        tokens: Prompt and completions together.
    """

    prompt: int
    first: int
    count: int
    tokens: int


def plan_blocks(
    prompt_lengths: Sequence[int],
    completion_lengths: Sequence[int],
    prompt_of: Sequence[int],
    max_row_tokens: int,
) -> list[Block]:
    """One block a group, or several of equal size where a group exceeds the longest row.

    A block holds at least one completion: then it is what a plain batch would hold.
    """
    blocks = []
    first = 0
    for prompt, prompt_tokens in enumerate(prompt_lengths):
        last = first
        while last < len(prompt_of) and prompt_of[last] == prompt:
            last += 1
        lengths = completion_lengths[first:last]
        longest = max(lengths, default=0)
        room = max(max_row_tokens - prompt_tokens, longest)
        pieces = 1
        while pieces < len(lengths) and _largest_piece(lengths, pieces) > room:
            pieces += 1
        for begin, end in _cuts(len(lengths), pieces):
            tokens = prompt_tokens + sum(lengths[begin:end])
            blocks.append(Block(prompt, first + begin, end - begin, tokens))
        first = last
    return blocks


def plan_rows(blocks: Sequence[Block], max_batch_tokens: int) -> list[list[list[Block]]]:
    """Blocks into rows, and rows into forward passes.

    Rows are filled first-fit from the longest block down and never exceed the longest block, so
    the padded rows of a pass hold less than twice the tokens of their blocks.

    Args:
        blocks: From `plan_blocks`.
        max_batch_tokens: Most tokens of one pass, padding included; a single row may exceed it.

    Returns:
        For each pass its rows, each a list of blocks.
    """
    rows: list[list[Block]] = []
    free: list[int] = []
    longest = max((block.tokens for block in blocks), default=0)
    for block in sorted(blocks, key=lambda each: -each.tokens):
        fitting = [number for number, room in enumerate(free) if room >= block.tokens]
        if fitting:
            rows[fitting[0]].append(block)
            free[fitting[0]] -= block.tokens
        else:
            rows.append([block])
            free.append(longest - block.tokens)
    rows.sort(key=lambda row: -sum(block.tokens for block in row))
    passes: list[list[list[Block]]] = []
    width = 0
    for row in rows:
        if passes and (len(passes[-1]) + 1) * width <= max_batch_tokens:
            passes[-1].append(row)
        else:
            passes.append([row])
            width = sum(block.tokens for block in row)
    return passes


def plan_long_rows(blocks: Sequence[Block], max_batch_tokens: int) -> list[list[list[Block]]]:
    """One row a pass, without padding, where attention needs no mask.

    Args:
        blocks: From `plan_blocks`.
        max_batch_tokens: Most tokens of one pass; a single block may exceed it.

    Returns:
        For each pass its one row.
    """
    rows: list[list[Block]] = []
    tokens = 0
    for block in blocks:
        if not rows or tokens + block.tokens > max_batch_tokens:
            rows.append([])
            tokens = 0
        rows[-1].append(block)
        tokens += block.tokens
    return [[row] for row in rows]


def _cuts(count: int, pieces: int) -> list[tuple[int, int]]:
    edges = [count * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(edges))


def _largest_piece(lengths: Sequence[int], pieces: int) -> int:
    return max(sum(lengths[begin:end]) for begin, end in _cuts(len(lengths), pieces))
