"""TRL's GRPO trainer, with each prompt computed once for all its completions."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import (
    split_pixel_values_by_grid,
    split_tensor_dict,
    unsplit_pixel_values_by_grid,
)

from maniplvm.models.parameters import base_model
from maniplvm.training.shared_prefix.groups import group_rows
from maniplvm.training.shared_prefix.policy import score_groups
from maniplvm.training.shared_prefix.rollout import rollout_obstacle, shared_prefill
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings
from maniplvm.training.shared_prefix.support import obstacle

logger = logging.getLogger(__name__)


class SharedPrefixTrainer(GRPOTrainer):
    """`GRPOTrainer` that pays for prompt and pictures once per group; results are the same.

    It takes what `GRPOTrainer` takes, and `shared_prefix`. Every loss, reward and schedule is
    TRL's; only where completions and their log-probabilities come from differs. Where sharing
    is not possible it says so in the log and does what TRL does.
    """

    def __init__(
        self, *args: Any, shared_prefix: SharedPrefixSettings | None = None, **kwargs: Any
    ) -> None:
        self.shared_prefix = shared_prefix or SharedPrefixSettings()
        self._said: set[str] = set()
        super().__init__(*args, **kwargs)
        reason = obstacle(self.accelerator.unwrap_model(self.model))
        self._shares = self.shared_prefix.enabled and reason is None
        if self.shared_prefix.enabled and reason is not None:
            self._say(f"shared prefix is off: {reason}")

    def _say(self, text: str) -> None:
        if text not in self._said and self.accelerator.is_main_process:
            logger.warning(text)
        self._said.add(text)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """As TRL's, but whole groups are shuffled, so that siblings meet in one micro-batch."""
        model: Any = self.model
        if not (self._shares and model.training):
            return super()._prepare_inputs(generation_batch)
        args: Any = self.args
        steps, group = args.steps_per_generation, args.num_generations
        if self._step % (steps * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            batch = shuffle_groups(split_pixel_values_by_grid(batch), group)
            parts: Any = split_tensor_dict(batch, steps)
            self._buffered_inputs = [unsplit_pixel_values_by_grid(part) for part in parts]
        return self._buffered_inputs[self._step % steps]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        num_images: list[int] | None = None,
        mm_token_type_ids: Tensor | None = None,
        **others: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        plain = {
            "batch_size": batch_size,
            "compute_entropy": compute_entropy,
            "compute_aux_loss": compute_aux_loss,
            "pixel_values": pixel_values,
            "image_grid_thw": image_grid_thw,
            "num_images": num_images,
            "mm_token_type_ids": mm_token_type_ids,
            **others,
        }
        reason = self._policy_obstacle(compute_aux_loss, pixel_values, image_grid_thw, others)
        if reason is not None:
            if reason:
                self._say(f"log-probabilities come from TRL's plain pass: {reason}")
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, **plain
            )
        groups = group_rows(
            input_ids,
            attention_mask,
            logits_to_keep,
            mm_token_type_ids,
            pixel_values,
            image_grid_thw,
            num_images,
        )
        with self.accelerator.autocast():
            scores = score_groups(
                model,
                base_model(self.accelerator.unwrap_model(model)),
                groups,
                fused_head,
                entropy=compute_entropy,
                settings=self.shared_prefix,
            )
        return scores.logprobs, scores.entropies, None

    def _policy_obstacle(
        self, aux_loss: bool, pixel_values: Any, grid: Any, others: dict[str, Any]
    ) -> str | None:
        """Why the plain pass is taken: empty if nobody wanted it otherwise, None if it is not."""
        if not (self._shares and self.shared_prefix.policy):
            return ""
        if aux_loss:
            return "the balance of experts is counted over every token of the plain batch"
        strange = sorted(name for name, value in others.items() if value is not None)
        if strange:
            return f"the batch holds {', '.join(strange)}"
        if pixel_values is not None and grid is None:
            return "pictures come without a grid"
        return None

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[Any] | None,
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        reason = self._rollout_obstacle(multimodal_fields, has_tool_images)
        if reason is not None:
            if reason:
                self._say(f"completions come from TRL's own rollout: {reason}")
            return super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        kept, prompt_of, fields = distinct_prompts(prompt_ids, images, multimodal_fields)
        base = base_model(self.accelerator.unwrap_model(self.model_wrapped))
        with shared_prefill(base, prompt_of):
            return super()._generate_single_turn(
                [prompt_ids[row] for row in kept],
                [images[row] for row in kept] if images is not None else None,
                fields,
                num_generations,
                has_tool_images,
            )

    def _rollout_obstacle(self, fields: dict[str, Any], tool_images: bool) -> str | None:
        if not (self._shares and self.shared_prefix.rollout) or self.use_vllm:
            return ""
        if self.use_transformers_continuous_batching:
            return "continuous batching has its own cache"
        if tool_images:
            return "tools brought pictures"
        strange = sorted(set(fields) - {"pixel_values", "image_grid_thw", "mm_token_type_ids"})
        if strange:
            return f"the batch holds {', '.join(strange)}"
        return rollout_obstacle(self.generation_config)


def shuffle_groups(batch: dict[str, Any], group: int) -> dict[str, Any]:
    """Permute whole groups of `group` neighbouring rows.

    Args:
        batch: Tensors and lists of `B` rows each; numbers and None stay as they are.
        group: Rows of one prompt. What remains of a group cut by the end of the batch (several
            processes may share one) moves as a group too.
    """
    count = len(next(value for value in batch.values() if value is not None))
    starts = list(range(0, count, group))
    order = [
        row
        for number in torch.randperm(len(starts)).tolist()
        for row in range(starts[number], min(starts[number] + group, count))
    ]

    def permute(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[order] if value.dim() else value
        return None if value is None else [value[row] for row in order]

    return {name: permute(value) for name, value in batch.items()}


def distinct_prompts(
    prompt_ids: list[list[int]], images: list[Any] | None, fields: dict[str, Any]
) -> tuple[list[int], Tensor, dict[str, Any]]:
    """Which rows begin with a prompt that differs from the row before.

    Args:
        prompt_ids: Tokens of `B` prompts.
        images: The pictures of each, or None.
        fields: The processor's other tensors of all rows.

    Returns:
        The numbers of the first rows, `(B,)` the prompt of each row, and the fields of the
        first rows only.
    """
    counts = [len(each) if each else 0 for each in images] if images else [0] * len(prompt_ids)
    patches: Any = ()
    grid = fields.get("image_grid_thw")
    if grid is not None:
        grid = torch.as_tensor(grid)
        patches = torch.as_tensor(fields["pixel_values"]).split(grid.prod(-1).tolist())
    kept: list[int] = []
    kept_images: list[int] = []
    prompt_of = []
    start = 0
    for row, ids in enumerate(prompt_ids):
        count = counts[row]
        same = row > 0 and ids == prompt_ids[row - 1] and count == counts[row - 1]
        if same and grid is not None:
            same = all(
                torch.equal(patches[start - count + k], patches[start + k])
                and torch.equal(grid[start - count + k], grid[start + k])
                for k in range(count)
            )
        if not same:
            kept.append(row)
            kept_images += range(start, start + count)
        prompt_of.append(len(kept) - 1)
        start += count
    reduced: dict[str, Any] = {}
    if grid is not None and kept_images:
        reduced["pixel_values"] = torch.cat([patches[number] for number in kept_images])
        reduced["image_grid_thw"] = grid[kept_images]
    if "mm_token_type_ids" in fields:
        reduced["mm_token_type_ids"] = [fields["mm_token_type_ids"][row] for row in kept]
    return kept, torch.tensor(prompt_of), reduced


def fused_head(
    model: Any, inputs: dict[str, Any], targets: Tensor, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    """TRL's own head, which the trainer put on the model: it knows temperature and caps."""
    output = model(**inputs, shift_labels=targets[None], fused_lm_head=True)
    return output.log_probs[0], output.entropy[0] if entropy else None
