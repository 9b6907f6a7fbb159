"""A plain batch, in which every row repeats its prompt; and which rows are siblings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from maniplvm.training.shared_prefix.groups import PromptGroups


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a plain batch, row by row.

    Attributes:
        pixel_values: Patches of all images.
        image_grid_thw: `(I, 3)` their grids.
        num_images: How many each row has.
    """

    pixel_values: Tensor
    image_grid_thw: Tensor
    num_images: tuple[int, ...]

    def take(self, rows: Sequence[int]) -> Images | None:
        """Those of some rows; None if these have none."""
        ends = list(accumulate(self.num_images))
        kept = [k for row in rows for k in range(ends[row] - self.num_images[row], ends[row])]
        if not kept:
            return None
        patches = self.pixel_values.split(self.image_grid_thw.prod(-1).tolist())
        return Images(
            torch.cat([patches[k] for k in kept]),
            self.image_grid_thw[kept],
            tuple(self.num_images[row] for row in rows),
        )

    def repeats(self) -> list[bool]:
        """For each row but the first, whether its images equal those of the row before."""
        patches = self.pixel_values.split(self.image_grid_thw.prod(-1).tolist())
        grids = self.image_grid_thw.tolist()
        ends = list(accumulate(self.num_images))
        same = []
        for row, (before, count) in enumerate(pairwise(self.num_images), start=1):
            same.append(
                before == count
                and all(
                    grids[k - count] == grids[k] and torch.equal(patches[k - count], patches[k])
                    for k in range(ends[row] - count, ends[row])
                )
            )
        return same


@dataclass(frozen=True, eq=False)
class PlainBatch:
    """`B` rows of a prompt and a completion, as TRL lays them out.

    Attributes:
        input_ids: `(B, P + C)`.
        attention_mask: `(B, P + C)`.
        width: `C`.
        token_types: `(B, P + C)` 1 on image tokens, or None.
        images: Of all rows, or None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    width: int
    token_types: Tensor | None
    images: Images | None

    def take(self, rows: Sequence[int]) -> PlainBatch:
        """Some of the rows."""
        return PlainBatch(
            self.input_ids[list(rows)],
            self.attention_mask[list(rows)],
            self.width,
            None if self.token_types is None else self.token_types[list(rows)],
            None if self.images is None else self.images.take(rows),
        )

    def groups(self) -> PromptGroups:
        """The rows by prompt.

        Neighbouring rows are of one group if their prompts and images are equal to the last
        bit, so whatever order rows come in, nothing is shared that differs.
        """
        start = self.input_ids.shape[1] - self.width
        mask = self.attention_mask[:, :start].bool()
        prompts = self.input_ids[:, :start].masked_fill(~mask, 0)
        same = (prompts[1:] == prompts[:-1]).all(1) & (mask[1:] == mask[:-1]).all(1)
        kept, group_of = lead_rows(same.tolist(), self.images)
        images = None if self.images is None else self.images.take(kept)
        return PromptGroups(
            self.input_ids[kept, :start],
            mask[kept],
            self.input_ids[:, start:],
            self.attention_mask[:, start:].bool(),
            torch.tensor(group_of, device=self.input_ids.device),
            None if self.token_types is None else self.token_types[kept, :start],
            None if images is None else images.pixel_values,
            None if images is None else images.image_grid_thw,
            () if images is None else images.num_images,
        )

    def arguments(self) -> dict[str, Any]:
        """What TRL's own pass calls all this."""
        images = self.images
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "logits_to_keep": self.width,
            "mm_token_type_ids": self.token_types,
            "pixel_values": None if images is None else images.pixel_values,
            "image_grid_thw": None if images is None else images.image_grid_thw,
            "num_images": None if images is None else list(images.num_images),
        }


def lead_rows(same_words: Sequence[bool], images: Images | None) -> tuple[list[int], list[int]]:
    """Which rows begin a group.

    Args:
        same_words: For each row but the first, whether its words equal those of the row before.
        images: Of the rows.

    Returns:
        The numbers of the rows that begin one, and the number of the group of every row.
    """
    same_images = [True] * len(same_words) if images is None else images.repeats()
    kept, group_of = [0], [0]
    for row, same in enumerate(zip(same_words, same_images, strict=True), start=1):
        if not all(same):
            kept.append(row)
        group_of.append(len(kept) - 1)
    return kept, group_of


def first_rows(group_of: Sequence[int], groups: int = 2, rows: int = 2) -> list[int]:
    """The first rows of the first groups.

    Args:
        group_of: The group of every row, ascending from 0.
        groups: Of how many groups.
        rows: How many of each.
    """
    return [
        row
        for row, group in enumerate(group_of)
        if group < groups and (row < rows or group_of[row - rows] != group)
    ]
