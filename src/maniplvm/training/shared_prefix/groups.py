"""Prompts and their completions: TRL's batch with repeated prompts, and groups without repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PromptGroups:
    """`N` distinct prompts and their `B` completions.

    Attributes:
        prompt_ids: `(N, P)` token ids, padded on either side.
        prompt_mask: `(N, P)` bool, True on tokens.
        completion_ids: `(B, C)` token ids, padded on the right.
        completion_mask: `(B, C)` bool, True on tokens. A row may be empty.
        prompt_index: `(B,)` index of the prompt of each completion, ascending.
        token_type_ids: `(N, P)` 1 on image tokens, or None for a text model.
        pixel_values: Patches of all images of the prompts, in order, or None.
        image_grid_thw: `(I, 3)` grids of the images, or None.
        images_per_prompt: Number of images of each prompt.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    completion_ids: Tensor
    completion_mask: Tensor
    prompt_index: Tensor
    token_type_ids: Tensor | None = None
    pixel_values: Tensor | None = None
    image_grid_thw: Tensor | None = None
    images_per_prompt: tuple[int, ...] = ()

    @property
    def prompt_lengths(self) -> Tensor:
        """`(N,)` length of each prompt [tokens]."""
        return self.prompt_mask.sum(1)

    @property
    def completion_lengths(self) -> Tensor:
        """`(B,)` length of each completion [tokens]."""
        return self.completion_mask.sum(1)


@dataclass(frozen=True, eq=False)
class BatchImages:
    """The images of a batch, row by row.

    Attributes:
        pixel_values: Patches of all images.
        image_grid_thw: `(I, 3)` grids of the images.
        num_images: Number of images of each row.
    """

    pixel_values: Tensor
    image_grid_thw: Tensor
    num_images: tuple[int, ...]

    def take(self, rows: Sequence[int]) -> BatchImages | None:
        """The images of some rows, or None if these rows have no images."""
        ends = list(accumulate(self.num_images))
        kept = [k for row in rows for k in range(ends[row] - self.num_images[row], ends[row])]
        if not kept:
            return None
        patches = self.pixel_values.split(self.image_grid_thw.prod(-1).tolist())
        return BatchImages(
            torch.cat([patches[k] for k in kept]),
            self.image_grid_thw[kept],
            tuple(self.num_images[row] for row in rows),
        )

    def equal_previous(self) -> list[bool]:
        """For each row after the first, whether its images equal those of the previous row."""
        patches = self.pixel_values.split(self.image_grid_thw.prod(-1).tolist())
        grids = self.image_grid_thw.tolist()
        ends = list(accumulate(self.num_images))
        equal = []
        for row, (previous, count) in enumerate(pairwise(self.num_images), start=1):
            equal.append(
                previous == count
                and all(
                    grids[k - count] == grids[k] and torch.equal(patches[k - count], patches[k])
                    for k in range(ends[row] - count, ends[row])
                )
            )
        return equal


@dataclass(frozen=True, eq=False)
class PlainBatch:
    """`B` rows of a prompt and a completion in TRL's layout: every row repeats its prompt.

    Attributes:
        input_ids: `(B, P + C)` token ids.
        attention_mask: `(B, P + C)` 1 on tokens.
        completion_width: `C`.
        token_type_ids: `(B, P + C)` 1 on image tokens, or None.
        images: The images of all rows, or None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    completion_width: int
    token_type_ids: Tensor | None
    images: BatchImages | None

    def take(self, rows: Sequence[int]) -> PlainBatch:
        """A batch of some of the rows."""
        return PlainBatch(
            self.input_ids[list(rows)],
            self.attention_mask[list(rows)],
            self.completion_width,
            None if self.token_type_ids is None else self.token_type_ids[list(rows)],
            None if self.images is None else self.images.take(rows),
        )

    def groups(self) -> PromptGroups:
        """Group neighbouring rows that have the same prompt.

        Rows are grouped only if their prompt tokens and their image patches are exactly equal.
        The grouping is therefore valid for any order of rows.
        """
        start = self.input_ids.shape[1] - self.completion_width
        mask = self.attention_mask[:, :start].bool()
        prompts = self.input_ids[:, :start].masked_fill(~mask, 0)
        same = (prompts[1:] == prompts[:-1]).all(1) & (mask[1:] == mask[:-1]).all(1)
        kept, group_index = group_rows(same.tolist(), self.images)
        images = None if self.images is None else self.images.take(kept)
        return PromptGroups(
            self.input_ids[kept, :start],
            mask[kept],
            self.input_ids[:, start:],
            self.attention_mask[:, start:].bool(),
            torch.tensor(group_index, device=self.input_ids.device),
            None if self.token_type_ids is None else self.token_type_ids[kept, :start],
            None if images is None else images.pixel_values,
            None if images is None else images.image_grid_thw,
            () if images is None else images.num_images,
        )

    def trl_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `GRPOTrainer._get_per_token_logps_and_entropies`."""
        images = self.images
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "logits_to_keep": self.completion_width,
            "mm_token_type_ids": self.token_type_ids,
            "pixel_values": None if images is None else images.pixel_values,
            "image_grid_thw": None if images is None else images.image_grid_thw,
            "num_images": None if images is None else list(images.num_images),
        }


def group_prompts(
    prompts: Mapping[str, Tensor],
    completion_ids: Tensor,
    completion_mask: Tensor,
    prompt_index: Tensor | None = None,
    merge_size: int = 2,
) -> PromptGroups:
    """Build groups from a processor's output for the distinct prompts.

    Args:
        prompts: `input_ids` and `attention_mask` `(N, P)`. With images also `pixel_values`,
            `image_grid_thw` and `mm_token_type_ids`.
        completion_ids: `(B, C)` token ids.
        completion_mask: `(B, C)` 1 on tokens.
        prompt_index: `(B,)` index of the prompt of each completion, ascending. By default every
            prompt has `B / N` completions.
        merge_size: Side of the square of patches that becomes one image token.

    Raises:
        ValueError: `B` is not a multiple of `N`, or `prompt_index` is not ascending.
    """
    ids = prompts["input_ids"]
    count = len(completion_ids)
    if prompt_index is None:
        if count % len(ids):
            raise ValueError(
                f"{count} completions cannot be divided evenly among {len(ids)} prompts"
            )
        each = count // len(ids)
        prompt_index = torch.arange(len(ids), device=ids.device).repeat_interleave(each)
    elif len(prompt_index) != count or bool((prompt_index.diff() < 0).any()):
        raise ValueError(
            f"prompt_index must have {count} ascending entries, one for each completion"
        )
    grid, types = prompts.get("image_grid_thw"), prompts.get("mm_token_type_ids")
    images = ()
    if grid is not None:
        if types is None:
            raise ValueError("prompts with images need mm_token_type_ids from the processor")
        images = _images_per_prompt(types, grid, merge_size)
    return PromptGroups(
        ids,
        prompts["attention_mask"].bool(),
        completion_ids,
        completion_mask.bool(),
        prompt_index,
        types,
        prompts.get("pixel_values"),
        grid,
        images,
    )


def group_rows(
    same_prompt: Sequence[bool], images: BatchImages | None
) -> tuple[list[int], list[int]]:
    """Group neighbouring rows of equal prompt tokens and equal images.

    Args:
        same_prompt: For each row after the first, whether its prompt tokens equal those of the
            previous row.
        images: The images of the rows, or None.

    Returns:
        The first row of each group, and the group index of each row.
    """
    same_images = [True] * len(same_prompt) if images is None else images.equal_previous()
    first, group_index = [0], [0]
    for row, same in enumerate(zip(same_prompt, same_images, strict=True), start=1):
        if not all(same):
            first.append(row)
        group_index.append(len(first) - 1)
    return first, group_index


def first_rows(group_index: Sequence[int], groups: int = 2, rows: int = 2) -> list[int]:
    """The first rows of the first groups.

    Args:
        group_index: The group index of each row, ascending from 0.
        groups: Number of groups.
        rows: Number of rows of each group.
    """
    return [
        row
        for row, group in enumerate(group_index)
        if group < groups and (row < rows or group_index[row - rows] != group)
    ]


def _images_per_prompt(types: Tensor, grid: Tensor, merge_size: int) -> tuple[int, ...]:
    """Number of images of each prompt, from its number of image tokens."""
    ends = (grid.prod(-1) // merge_size**2).cumsum(0).tolist()
    counts, used, tokens = [], 0, 0
    for count in (types == 1).sum(1).tolist():
        tokens += count
        complete = sum(end <= tokens for end in ends)
        counts.append(complete - used)
        used = complete
    if used != len(ends) or (ends and ends[-1] != tokens):
        raise ValueError(
            f"the prompts have {tokens} image tokens, which do not match their {len(ends)} images"
        )
    return tuple(counts)
