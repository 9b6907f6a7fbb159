"""Completions by the prompt they answer: each prompt, and each of its images, held once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PromptGroups:
    """`N` prompts and the `B` completions that answer them.

    Attributes:
        prompt_ids: `(N, P)`, padded on either side.
        prompt_mask: `(N, P)` bool, True on tokens.
        completion_ids: `(B, C)`, padded on the right.
        completion_mask: `(B, C)` bool, True on tokens; a row may be empty.
        prompt_of: `(B,)` the prompt of each completion, ascending.
        token_types: `(N, P)` 1 on image tokens, or None for a model without images.
        pixel_values: Patches of all images of the prompts, in order, or None.
        image_grid_thw: `(I, 3)` their grids, or None.
        images_per_prompt: How many of the images each prompt has.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    prompt_of: Tensor
    token_types: Tensor | None = None
    pixel_values: Tensor | None = None
    image_grid_thw: Tensor | None = None
    images_per_prompt: tuple[int, ...] = ()

    @property
    def prompt_lengths(self) -> Tensor:
        """`(N,)` tokens of each prompt."""
        return self.prompt_mask.sum(1)

    @property
    def completion_lengths(self) -> Tensor:
        """`(B,)` tokens of each completion."""
        return self.completion_mask.sum(1)


def group_prompts(
    prompts: Mapping[str, Tensor],
    completion_ids: Tensor,
    completion_mask: Tensor,
    prompt_of: Tensor | None = None,
    merge_size: int = 2,
) -> PromptGroups:
    """Groups from a processor's tensors of the prompts.

    Args:
        prompts: `input_ids` and `attention_mask` `(N, P)`; with images also `pixel_values`,
            `image_grid_thw` and `mm_token_type_ids`.
        completion_ids: `(B, C)`.
        completion_mask: `(B, C)`.
        prompt_of: `(B,)` ascending; by default `B / N` completions for every prompt in turn.
        merge_size: Side of the square of patches that make one image token.

    Raises:
        ValueError: completions that cannot be dealt out evenly, or whose prompts do not ascend.
    """
    ids = prompts["input_ids"]
    count = len(completion_ids)
    if prompt_of is None:
        if count % len(ids):
            raise ValueError(f"{count} completions cannot be dealt out to {len(ids)} prompts")
        each = count // len(ids)
        prompt_of = torch.arange(len(ids), device=ids.device).repeat_interleave(each)
    elif len(prompt_of) != count or bool((prompt_of.diff() < 0).any()):
        raise ValueError("prompt_of names one prompt for each completion, in ascending order")
    grid, types = prompts.get("image_grid_thw"), prompts.get("mm_token_type_ids")
    images = ()
    if grid is not None:
        if types is None:
            raise ValueError(
                "prompts with images need mm_token_type_ids, as the processor makes them"
            )
        images = _images_per_prompt(types, grid, merge_size)
    return PromptGroups(
        ids,
        prompts["attention_mask"].bool(),
        completion_ids,
        completion_mask.bool(),
        prompt_of,
        types,
        prompts.get("pixel_values"),
        grid,
        images,
    )


def _images_per_prompt(types: Tensor, grid: Tensor, merge_size: int) -> tuple[int, ...]:
    """How many images each prompt holds, from how many image tokens it has."""
    ends = (grid.prod(-1) // merge_size**2).cumsum(0).tolist()
    held, used, tokens = [], 0, 0
    for count in (types == 1).sum(1).tolist():
        tokens += count
        upto = sum(end <= tokens for end in ends)
        held.append(upto - used)
        used = upto
    if used != len(ends) or (ends and ends[-1] != tokens):
        raise ValueError(f"{tokens} image tokens do not fit {len(ends)} images")
    return tuple(held)
