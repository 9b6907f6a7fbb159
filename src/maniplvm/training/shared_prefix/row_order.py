"""The order of the rows of a generation batch: TRL's shuffle, then rows of one prompt together.

TRL shuffles the rows, and splits them into micro-batches. Rows may then change places without
changing the update, as long as the loss does not depend on which rows form a micro-batch, and each
optimizer step keeps its rows. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

LOSSES_OF_SINGLE_ROWS = frozenset({"grpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"})
"""Losses of TRL 1.16 that are a sum over rows, divided by a number that is equal for all
micro-batches. `bnpo` divides by the tokens of the micro-batch."""


def exchangeable_micro_batches(config: Any) -> int:
    """Number of consecutive micro-batches in which rows may change places.

    These micro-batches are always accumulated into one optimizer step. The number is 1 if the loss
    of a row depends on the other rows of its micro-batch: with `bnpo`, an entropy bonus, or an
    entropy quantile.

    Args:
        config: The `trl.GRPOConfig`.
    """
    has_entropy_bonus = config.entropy_coef != 0 or config.use_adaptive_entropy
    has_quantile = config.top_entropy_quantile < 1
    if config.loss_type not in LOSSES_OF_SINGLE_ROWS or has_entropy_bonus or has_quantile:
        return 1
    return gcd(config.steps_per_generation, config.gradient_accumulation_steps)


def keeps_groups_whole(config: Any, rows: int) -> bool:
    """Whether every micro-batch has whole groups only.

    Args:
        config: The `trl.GRPOConfig`.
        rows: Rows of a micro-batch in one process.
    """
    whole_batch = exchangeable_micro_batches(config) == config.steps_per_generation
    return whole_batch and rows % config.num_generations == 0


def rows_by_prompt(prompts: Sequence[int], window: int) -> list[int]:
    """The order in which the rows of a prompt are neighbours, within each window.

    Prompts keep the order in which they first appear in the window, and rows of a prompt keep
    their order.

    Args:
        prompts: The prompt of each row.
        window: Number of consecutive rows that may change places.

    Returns:
        For each new place, the index of the row.
    """
    order: list[int] = []
    for start in range(0, len(prompts), window):
        rows = range(start, min(start + window, len(prompts)))
        first: dict[int, int] = {}
        for row in rows:
            first.setdefault(prompts[row], row)
        order += sorted(rows, key=lambda row: first[prompts[row]])
    return order


def take_rows(batch: dict[str, Any], order: Sequence[int]) -> dict[str, Any]:
    """A batch with its rows in another order.

    Args:
        batch: Tensors and lists with one entry for each row. Scalars and None are not changed.
        order: For each new place, the index of the row.
    """

    def permute(value: Any) -> Any:
        if isinstance(value, list):
            return [value[row] for row in order]
        return value if value is None or value.ndim == 0 else value[list(order)]

    return {name: permute(value) for name, value in batch.items()}
