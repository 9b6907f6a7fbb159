"""Packed rows `[prompt][completion 1]..[completion G][prompt]..`: planning and token layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from maniplvm.training.shared_prefix.groups import PromptGroups

PROMPT = 0
"""Segment id of prompt tokens. The completions of a block have segment ids 1, 2, ..."""


@dataclass(frozen=True)
class Block:
    """A prompt followed by consecutive completions of it, within one packed row.

    Attributes:
        prompt: Index of the prompt.
        first: Index of the first completion.
        count: Number of completions.
        tokens: Length of prompt and completions together [tokens].
    """

    prompt: int
    first: int
    count: int
    tokens: int


def plan_blocks(
    prompt_lengths: Sequence[int],
    completion_lengths: Sequence[int],
    prompt_index: Sequence[int],
    max_row_tokens: int,
) -> list[Block]:
    """Plan one block for each group. A group over the limit is split into several blocks.

    A block has at least one completion, so a block may exceed the limit by itself.

    Args:
        prompt_lengths: Length of each prompt [tokens].
        completion_lengths: Length of each completion [tokens].
        prompt_index: Index of the prompt of each completion, ascending.
        max_row_tokens: Longest block [tokens].
    """
    blocks = []
    first = 0
    for prompt, prompt_tokens in enumerate(prompt_lengths):
        last = first
        while last < len(prompt_index) and prompt_index[last] == prompt:
            last += 1
        lengths = completion_lengths[first:last]
        longest = max(lengths, default=0)
        available = max(max_row_tokens - prompt_tokens, longest)
        chunks = 1
        while chunks < len(lengths) and _largest_chunk(lengths, chunks) > available:
            chunks += 1
        for begin, end in _chunk_ranges(len(lengths), chunks):
            tokens = prompt_tokens + sum(lengths[begin:end])
            blocks.append(Block(prompt, first + begin, end - begin, tokens))
        first = last
    return blocks


def plan_padded_rows(blocks: Sequence[Block], max_batch_tokens: int) -> list[list[list[Block]]]:
    """Plan several rows for each forward pass, padded to the longest row. Attention needs a mask.

    Rows are filled first-fit in order of decreasing length. No row exceeds the longest block, so
    the padded rows of a pass have fewer than twice the tokens of their blocks.

    Args:
        blocks: The blocks from `plan_blocks`.
        max_batch_tokens: Most tokens of one pass, with padding. A single row may exceed it.

    Returns:
        The rows of each pass. A row is a list of blocks.
    """
    rows: list[list[Block]] = []
    free: list[int] = []
    longest = max((block.tokens for block in blocks), default=0)
    for block in sorted(blocks, key=lambda each: -each.tokens):
        fitting = [row for row, available in enumerate(free) if available >= block.tokens]
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


def plan_single_rows(blocks: Sequence[Block], max_batch_tokens: int) -> list[list[list[Block]]]:
    """Plan one long row for each forward pass, without padding, for prefix attention.

    Args:
        blocks: The blocks from `plan_blocks`.
        max_batch_tokens: Most tokens of one pass. A single block may exceed it.

    Returns:
        The rows of each pass: always one row, a list of blocks.
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


@dataclass(frozen=True, eq=False)
class PackedRows:
    """`R` rows of `L` tokens with the `T` completion tokens to predict.

    Attributes:
        input_ids: `(R, L)` token ids.
        position_ids: `(R, L)`, or `(3, R, L)` for M-RoPE.
        block_ids: `(R, L)` block of each token, -1 on padding.
        segment_ids: `(R, L)` `PROMPT`, or 1, 2, ... for the completions of the block.
        token_type_ids: `(R, L)` 1 on image tokens, or None.
        predictor_indices: `(T,)` flat index into `R * L` of the token that predicts each target.
        target_ids: `(T,)` token ids of the completion tokens.
        target_indices: `(T,)` flat index into `B * C` of each completion token.
        image_indices: Indices of the images in the order of the rows, or None.
    """

    input_ids: Tensor
    position_ids: Tensor
    block_ids: Tensor
    segment_ids: Tensor
    token_type_ids: Tensor | None
    predictor_indices: Tensor
    target_ids: Tensor
    target_indices: Tensor
    image_indices: Tensor | None

    def attention_mask(self) -> Tensor:
        """`(R, 1, L, L)` bool: whether a token (third axis) attends to another (last axis).

        A token attends to earlier tokens of its block: to the prompt, and to its own completion.
        A padding token attends to itself, so that no row of the softmax is empty.
        """
        length = self.block_ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.block_ids.device).tril()
        same_block = self.block_ids[:, :, None] == self.block_ids[:, None, :]
        same_segment = self.segment_ids[:, :, None] == self.segment_ids[:, None, :]
        prompt = (self.segment_ids == PROMPT)[:, None, :]
        return (causal & same_block & (same_segment | prompt))[:, None]


def pack_rows(
    groups: PromptGroups, rows: Sequence[Sequence[Block]], prompt_positions: Tensor, pad_id: int
) -> PackedRows:
    """Lay out the tokens of planned rows.

    Args:
        groups: Prompts and completions.
        rows: The blocks of each row of one pass, from `plan_padded_rows` or `plan_single_rows`.
        prompt_positions: `(N, P)` or `(3, N, P)` position ids of the prompts.
        pad_id: Token id on padding.
    """
    device = groups.prompt_ids.device
    flat = [(row, block) for row, blocks in enumerate(rows) for block in blocks]
    row_of = torch.tensor([row for row, _ in flat], device=device)
    prompt = torch.tensor([block.prompt for _, block in flat], device=device)
    first = torch.tensor([block.first for _, block in flat], device=device)
    count = torch.tensor([block.count for _, block in flat], device=device)
    start = torch.tensor(
        [index for blocks in rows for index in _block_starts(blocks)], device=device
    )
    width = max(sum(block.tokens for block in blocks) for blocks in rows)

    # One entry for each prompt token: its block, and its column in the prompt.
    mask = groups.prompt_mask[prompt]
    owner, column = mask.nonzero(as_tuple=True)
    rank = (mask.cumsum(1) - 1)[owner, column]
    prompt_index = row_of[owner] * width + start[owner] + rank

    # One entry for each completion token: its block, its completion, and its column.
    block_of = torch.arange(len(flat), device=device).repeat_interleave(count)
    within = torch.arange(len(block_of), device=device) - (count.cumsum(0) - count)[block_of]
    completion = first[block_of] + within
    lengths = groups.completion_lengths[completion]
    before = lengths.cumsum(0) - lengths
    block_before = before[(count.cumsum(0) - count).clamp(max=max(len(before) - 1, 0))]
    prompt_length = groups.prompt_lengths[prompt]
    offset = start[block_of] + prompt_length[block_of] + before - block_before[block_of]
    completion_mask = groups.completion_mask[completion]
    item, step = completion_mask.nonzero(as_tuple=True)
    step_rank = (completion_mask.cumsum(1) - 1)[item, step]
    completion_index = row_of[block_of[item]] * width + offset[item] + step_rank
    last_prompt_index = row_of * width + start + prompt_length - 1
    predictors = torch.where(
        step_rank == 0, last_prompt_index[block_of[item]], completion_index - 1
    )

    def scatter(prompt_values: Tensor, completion_values: Tensor, fill: int) -> Tensor:
        values = torch.full((len(rows) * width,), fill, dtype=torch.long, device=device)
        values[prompt_index] = prompt_values.long()
        values[completion_index] = completion_values.long()
        return values.view(len(rows), width)

    targets = groups.completion_ids[completion[item], step]
    axes = prompt_positions if prompt_positions.dim() == 3 else prompt_positions[None]
    next_position = axes.masked_fill(~groups.prompt_mask, -1).amax((0, 2)) + 1
    completion_positions = next_position[prompt[block_of[item]]] + step_rank
    packed_positions = torch.stack(
        [scatter(axis[prompt[owner], column], completion_positions, 0) for axis in axes]
    )
    types = None
    if groups.token_type_ids is not None:
        types = scatter(
            groups.token_type_ids[prompt[owner], column], torch.zeros_like(step_rank), 0
        )
    return PackedRows(
        input_ids=scatter(groups.prompt_ids[prompt[owner], column], targets, pad_id),
        position_ids=packed_positions if prompt_positions.dim() == 3 else packed_positions[0],
        block_ids=scatter(owner, block_of[item], -1),
        segment_ids=scatter(torch.zeros_like(rank), within[item] + 1, PROMPT),
        token_type_ids=types,
        predictor_indices=predictors,
        target_ids=targets,
        target_indices=completion[item] * groups.completion_ids.shape[1] + step,
        image_indices=_image_indices(groups, prompt.tolist(), device),
    )


def _chunk_ranges(count: int, chunks: int) -> list[tuple[int, int]]:
    edges = [count * chunk // chunks for chunk in range(chunks + 1)]
    return list(pairwise(edges))


def _largest_chunk(lengths: Sequence[int], chunks: int) -> int:
    return max(sum(lengths[begin:end]) for begin, end in _chunk_ranges(len(lengths), chunks))


def _block_starts(blocks: Sequence[Block]) -> list[int]:
    starts, index = [], 0
    for block in blocks:
        starts.append(index)
        index += block.tokens
    return starts


def _image_indices(
    groups: PromptGroups, prompts: Sequence[int], device: torch.device
) -> Tensor | None:
    if groups.image_grid_thw is None:
        return None
    ends = torch.tensor(groups.images_per_prompt).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    indices = [image for prompt in prompts for image in range(starts[prompt], ends[prompt])]
    return torch.tensor(indices, dtype=torch.long, device=device)
