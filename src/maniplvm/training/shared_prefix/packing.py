"""Where every token of a few groups lies in packed rows: `[prompt][c1]..[cG] [prompt]..`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maniplvm.training.shared_prefix.groups import PromptGroups
from maniplvm.training.shared_prefix.planning import Block

PROMPT = 0
"""The segment of a prompt's tokens; its completions are segments 1, 2, ..."""


@dataclass(frozen=True, eq=False)
class PackedRows:
    """`R` rows of `L` tokens, and which of them predict the `T` tokens of the completions.

    Attributes:
        input_ids: `(R, L)`.
        positions: `(R, L)`, or `(3, R, L)` for M-RoPE.
        block: `(R, L)` the block that a token belongs to; -1 on padding.
        segment: `(R, L)` `PROMPT`, or the number of a completion within its block.
        token_types: `(R, L)` 1 on image tokens, or None.
        predictors: `(T,)` flat index into `R * L` of the token that predicts each target.
        targets: `(T,)` token ids.
        destinations: `(T,)` flat index into `B * C` of each target.
        images: The images of the prompts in the order of the rows.
    """

    input_ids: Tensor
    positions: Tensor
    block: Tensor
    segment: Tensor
    token_types: Tensor | None
    predictors: Tensor
    targets: Tensor
    destinations: Tensor
    images: Tensor | None

    def allowed(self) -> Tensor:
        """`(R, 1, L, L)` bool: which token (last axis) each token may attend to.

        A token sees what stands before it in its block: the prompt, and of the completions only
        its own. Padding sees itself, so that no row of the softmax is empty.
        """
        length = self.block.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.block.device).tril()
        same_block = self.block[:, :, None] == self.block[:, None, :]
        own = self.segment[:, :, None] == self.segment[:, None, :]
        shared = (self.segment == PROMPT)[:, None, :]
        return (causal & same_block & (own | shared))[:, None]


def pack_rows(
    groups: PromptGroups, rows: Sequence[Sequence[Block]], positions: Tensor, pad_id: int
) -> PackedRows:
    """Lay blocks out in rows.

    Args:
        groups: Prompts and completions.
        rows: The blocks of each row, from `plan_rows`.
        positions: `(N, P)` or `(3, N, P)` of the prompts' tokens.
        pad_id: What stands on padding.
    """
    device = groups.prompt_ids.device
    flat = [(row, block) for row, blocks in enumerate(rows) for block in blocks]
    row_of = torch.tensor([row for row, _ in flat], device=device)
    prompt = torch.tensor([block.prompt for _, block in flat], device=device)
    first = torch.tensor([block.first for _, block in flat], device=device)
    count = torch.tensor([block.count for _, block in flat], device=device)
    start = torch.tensor([place for blocks in rows for place in _starts(blocks)], device=device)
    width = max(sum(block.tokens for block in blocks) for blocks in rows)

    # Prompt tokens, one entry each: which block, which column of the prompt.
    mask = groups.prompt_mask[prompt]
    owner, column = mask.nonzero(as_tuple=True)
    rank = (mask.cumsum(1) - 1)[owner, column]
    prompt_place = row_of[owner] * width + start[owner] + rank

    # Completion tokens: which block, which completion, which column.
    block_of = torch.arange(len(flat), device=device).repeat_interleave(count)
    within = torch.arange(len(block_of), device=device) - (count.cumsum(0) - count)[block_of]
    completion = first[block_of] + within
    lengths = groups.completion_lengths[completion]
    before = lengths.cumsum(0) - lengths
    opening = before[(count.cumsum(0) - count).clamp(max=max(len(before) - 1, 0))]
    prompt_length = groups.prompt_lengths[prompt]
    offset = start[block_of] + prompt_length[block_of] + before - opening[block_of]
    taken = groups.completion_mask[completion]
    item, step = taken.nonzero(as_tuple=True)
    step_rank = (taken.cumsum(1) - 1)[item, step]
    place = row_of[block_of[item]] * width + offset[item] + step_rank
    last = row_of * width + start + prompt_length - 1
    predictors = torch.where(step_rank == 0, last[block_of[item]], place - 1)

    def scatter(prompt_values: Tensor, completion_values: Tensor, fill: int) -> Tensor:
        canvas = torch.full((len(rows) * width,), fill, dtype=torch.long, device=device)
        canvas[prompt_place] = prompt_values.long()
        canvas[place] = completion_values.long()
        return canvas.view(len(rows), width)

    targets = groups.completion_ids[completion[item], step]
    axes = positions if positions.dim() == 3 else positions[None]
    following = axes.masked_fill(~groups.prompt_mask, -1).amax((0, 2)) + 1
    completion_positions = following[prompt[block_of[item]]] + step_rank
    packed_positions = torch.stack(
        [scatter(axis[prompt[owner], column], completion_positions, 0) for axis in axes]
    )
    types = None
    if groups.token_types is not None:
        types = scatter(groups.token_types[prompt[owner], column], torch.zeros_like(step_rank), 0)
    return PackedRows(
        input_ids=scatter(groups.prompt_ids[prompt[owner], column], targets, pad_id),
        positions=packed_positions if positions.dim() == 3 else packed_positions[0],
        block=scatter(owner, block_of[item], -1),
        segment=scatter(torch.zeros_like(rank), within[item] + 1, PROMPT),
        token_types=types,
        predictors=predictors,
        targets=targets,
        destinations=completion[item] * groups.completion_ids.shape[1] + step,
        images=_image_order(groups, prompt.tolist(), device),
    )


def _starts(blocks: Sequence[Block]) -> list[int]:
    starts, place = [], 0
    for block in blocks:
        starts.append(place)
        place += block.tokens
    return starts


def _image_order(
    groups: PromptGroups, prompts: Sequence[int], device: torch.device
) -> Tensor | None:
    if groups.image_grid_thw is None:
        return None
    ends = torch.tensor(groups.images_per_prompt).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    order = [image for prompt in prompts for image in range(starts[prompt], ends[prompt])]
    return torch.tensor(order, dtype=torch.long, device=device)
