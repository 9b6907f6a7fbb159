"""TRL's `GRPOTrainer` with shared computation for the completions of a prompt."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import (
    shuffle_sequence_dict,
    split_pixel_values_by_grid,
    split_tensor_dict,
    unsplit_pixel_values_by_grid,
)

from maniplvm.models.parameters import base_model
from maniplvm.training.shared_prefix.groups import BatchImages, PlainBatch, first_rows, group_rows
from maniplvm.training.shared_prefix.image_deduplication import deduplicate_preprocessing
from maniplvm.training.shared_prefix.policy import GroupScores, score_groups
from maniplvm.training.shared_prefix.processes import first_reason, unsupported_sharding_reason
from maniplvm.training.shared_prefix.rollout import shared_prefill
from maniplvm.training.shared_prefix.row_order import (
    exchangeable_micro_batches,
    rows_by_prompt,
    take_rows,
)
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings
from maniplvm.training.shared_prefix.support import (
    dropout_reason,
    unsupported_generation_reason,
    unsupported_reason,
)
from maniplvm.training.shared_prefix.verification import (
    VerificationResult,
    verify_policy,
    verify_rollout,
)

logger = logging.getLogger(__name__)

POLICY, ROLLOUT = "log-probabilities", "completions"
_SUPPORTED_FIELDS = {"pixel_values", "image_grid_thw", "mm_token_type_ids"}
_GROUP = "prompt_group"


class SharedPrefixTrainer(GRPOTrainer):
    """`GRPOTrainer` that computes each prompt and its images once per group.

    It takes the arguments of `GRPOTrainer` and `shared_prefix`. The losses, rewards and schedules
    are TRL's code. These are the same as in TRL:

    - Log-probabilities, entropies and gradients of a micro-batch, up to floating-point rounding.
    - The sampling distribution of completions, up to rounding. At one seed the sampled tokens are
      those of `generate` until the first completion ends. The random numbers then differ.

    - The rows of each optimizer step. TRL's shuffle is used, and then only the order of rows inside
      an optimizer step changes, so that rows of one prompt are neighbours (`row_order`).

    All processes decide together (`processes`). Weights may be sharded with FSDP2.

    Where sharing is not supported, or verification fails, the trainer logs a warning and uses
    TRL's own code.

    Attributes:
        shared_prefix: The settings.
        verification_results: Result of each verification, by `POLICY` or `ROLLOUT`.
        fallbacks: Why TRL's own code is used although sharing is enabled, by `POLICY` or `ROLLOUT`.
    """

    def __init__(
        self, *args: Any, shared_prefix: SharedPrefixSettings | None = None, **kwargs: Any
    ) -> None:
        self.shared_prefix = shared_prefix or SharedPrefixSettings()
        self.verification_results: dict[str, VerificationResult] = {}
        self.fallbacks: dict[str, str] = {}
        super().__init__(*args, **kwargs)
        policy = self.accelerator.unwrap_model(self.model)
        reason = (
            unsupported_sharding_reason(self.accelerator)
            or unsupported_reason(policy)
            or dropout_reason(policy)
        )
        tools = "tools are not supported" if self.tools else None
        for part, each in ((POLICY, reason), (ROLLOUT, reason or tools)):
            if each is not None and self._is_shared(part):
                self._fall_back_to_trl(part, each)

    def _is_shared(self, part: str) -> bool:
        settings = self.shared_prefix
        wanted = settings.policy if part == POLICY else settings.rollout and not self.use_vllm
        return settings.enabled and wanted and part not in self.fallbacks

    def _needs_verification(self, part: str) -> bool:
        """Whether a part is unverified, or was verified without gradients that now exist."""
        result = self.verification_results.get(part)
        first_gradient = part == POLICY and self._can_compare_gradients() and result is not None
        missing = result is None or (first_gradient and result.gradient_rel_diff is None)
        return self.shared_prefix.verify and missing

    def _can_compare_gradients(self) -> bool:
        """False with sharded parameters, or with reentrant gradient checkpointing."""
        sharded = (DistributedType.FSDP, DistributedType.DEEPSPEED)
        args: Any = self.args
        settings = args.gradient_checkpointing_kwargs or {}
        reentrant = args.gradient_checkpointing and settings.get("use_reentrant", False)
        unsharded = self.accelerator.distributed_type not in sharded
        return torch.is_grad_enabled() and unsharded and not reentrant

    def _fall_back_to_trl(self, part: str, reason: str) -> None:
        self.fallbacks[part] = reason
        if self.accelerator.is_main_process:
            logger.warning("shared prefix: %s are computed by TRL's own code: %s", part, reason)

    def _record_verification(self, part: str, local: VerificationResult) -> None:
        """Store the worst result of all processes, and fall back if verification failed."""
        result = local.of_all_processes(self.accelerator.device)
        self.verification_results[part] = result
        if not result.passed(self.shared_prefix):
            self._fall_back_to_trl(part, f"VERIFICATION FAILED, {result}; please report this model")
        elif self.accelerator.is_main_process:
            logger.info("shared prefix: %s verified against TRL's own code: %s", part, result)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """TRL's method. After the shuffle, rows of one prompt become neighbours."""
        model: Any = self.model
        if not (self._is_shared(POLICY) and model.training):
            return super()._prepare_inputs(generation_batch)
        args: Any = self.args
        steps = args.steps_per_generation
        if self._step % (steps * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch: Any = self._generate_and_score_completions(generation_batch)
            rows = len(batch["prompt_ids"])
            first = self.accelerator.process_index * rows  # two processes may share a group
            groups = [row // args.num_generations for row in range(first, first + rows)]
            batch = {**split_pixel_values_by_grid(batch), _GROUP: groups}
            batch = shuffle_sequence_dict(batch)
            window = exchangeable_micro_batches(args) * (rows // steps)
            batch = take_rows(batch, rows_by_prompt(batch.pop(_GROUP), window))
            parts: Any = split_tensor_dict(batch, steps)
            self._buffered_inputs = [unsplit_pixel_values_by_grid(part) for part in parts]
        return self._buffered_inputs[self._step % steps]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        if not self.shared_prefix.enabled:
            return super()._generate_and_score_completions(inputs)
        with deduplicate_preprocessing(self.processing_class):
            return super()._generate_and_score_completions(inputs)

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
        options = {
            "batch_size": batch_size,
            "compute_entropy": compute_entropy,
            "compute_aux_loss": compute_aux_loss,
        }
        images = None
        if pixel_values is not None and image_grid_thw is not None and num_images is not None:
            images = BatchImages(pixel_values, image_grid_thw, tuple(num_images))
        batch = PlainBatch(input_ids, attention_mask, logits_to_keep, mm_token_type_ids, images)
        trl_method = super()._get_per_token_logps_and_entropies
        if self._is_shared(POLICY):
            unsupported = {name for name, value in others.items() if value is not None}
            if pixel_values is not None and images is None:
                unsupported.add("pixel_values without image_grid_thw")
            reason = None
            if compute_aux_loss:
                reason = "the router auxiliary loss is not supported"
            elif unsupported:
                reason = f"the batch has unsupported fields: {', '.join(sorted(unsupported))}"
            reason = first_reason(reason, self.accelerator.device)
            if reason is not None:
                self._fall_back_to_trl(POLICY, reason)
            elif self._needs_verification(POLICY):
                rows = batch.take(first_rows(batch.groups().prompt_index.tolist()))
                result = verify_policy(
                    model,
                    rows,
                    self._can_compare_gradients(),
                    lambda model, rows: trl_method(model, **rows.trl_arguments())[0],
                    lambda model, rows: self._shared_scores(model, rows, entropy=False).logprobs,
                    self._dtype(model),
                )
                self._record_verification(POLICY, result)
        if self._is_shared(POLICY):
            scores = self._shared_scores(model, batch, entropy=compute_entropy)
            return scores.logprobs, scores.entropies, None
        image_arguments = {"pixel_values": pixel_values, "image_grid_thw": image_grid_thw}
        return trl_method(
            model, **{**batch.trl_arguments(), **image_arguments, **options, **others}
        )

    def _shared_scores(self, model: Any, batch: PlainBatch, *, entropy: bool) -> GroupScores:
        base = base_model(self.accelerator.unwrap_model(model))
        with self.accelerator.autocast():
            return score_groups(
                model,
                base,
                batch.groups(),
                fused_head,
                entropy=entropy,
                settings=self.shared_prefix,
            )

    def _dtype(self, model: Any) -> torch.dtype:
        names: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
        mixed_precision = names.get(str(self.accelerator.mixed_precision))
        return mixed_precision or base_model(self.accelerator.unwrap_model(model)).dtype

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[Any] | None,
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        trl_method = super()._generate_single_turn
        if self._is_shared(ROLLOUT):
            reason = self._rollout_unsupported_reason(multimodal_fields, has_tool_images)
            reason = first_reason(reason, self.accelerator.device)
            if reason is not None:
                self._fall_back_to_trl(ROLLOUT, reason)
        if self._is_shared(ROLLOUT):
            result = self._shared_rollout(prompt_ids, images, multimodal_fields, num_generations)
            if self._is_shared(ROLLOUT):
                return result
        return trl_method(prompt_ids, images, multimodal_fields, num_generations, has_tool_images)

    def _shared_rollout(
        self,
        prompt_ids: list[list[int]],
        images: list[Any] | None,
        fields: dict[str, Any],
        num_generations: int,
    ) -> tuple[list[list[int]], Any]:
        """Call TRL's rollout with distinct prompts. The decoding method returns all completions."""
        types = fields.get("mm_token_type_ids")
        batch_images = None
        if "pixel_values" in fields and images is not None:
            batch_images = BatchImages(
                torch.as_tensor(fields["pixel_values"]),
                torch.as_tensor(fields["image_grid_thw"]),
                tuple(len(each) if each else 0 for each in images),
            )
        distinct, group_index = group_rows([a == b for a, b in pairwise(prompt_ids)], batch_images)
        distinct_fields: dict[str, Any] = {}
        distinct_images = None if batch_images is None else batch_images.take(distinct)
        if distinct_images is not None:
            distinct_fields = {
                "pixel_values": distinct_images.pixel_values,
                "image_grid_thw": distinct_images.image_grid_thw,
            }
        if types is not None:
            distinct_fields["mm_token_type_ids"] = [types[row] for row in distinct]
        base = base_model(self.accelerator.unwrap_model(self.model_wrapped))
        logprobs: dict[int, list[float]] | None = {} if self._needs_verification(ROLLOUT) else None
        with shared_prefill(base, torch.tensor(group_index), logprobs):
            result = super()._generate_single_turn(
                [prompt_ids[row] for row in distinct],
                None if images is None else [images[row] for row in distinct],
                distinct_fields,
                num_generations,
            )
        if logprobs is not None:
            rows = first_rows(group_index)
            verification = verify_rollout(
                self.model,
                base,
                [prompt_ids[row] for row in rows],
                [result[0][row] for row in rows],
                [logprobs[row] for row in rows],
                None if batch_images is None else batch_images.take(rows),
                None if types is None else [types[row] for row in rows],
                self._dtype(base),
            )
            self._record_verification(ROLLOUT, verification)
        return result

    def _rollout_unsupported_reason(self, fields: dict[str, Any], tool_images: bool) -> str | None:
        if self.use_transformers_continuous_batching:
            return "continuous batching is not supported"
        if tool_images:
            return "images from tools are not supported"
        unsupported = sorted(set(fields) - _SUPPORTED_FIELDS)
        if unsupported:
            return f"the batch has unsupported fields: {', '.join(unsupported)}"
        return unsupported_generation_reason(self.generation_config)


def fused_head(
    model: Any, inputs: dict[str, Any], targets: Tensor, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    """TRL's fused LM head on the model. It applies the temperature and logit caps."""
    output = model(**inputs, shift_labels=targets[None], fused_lm_head=True)
    return output.log_probs[0], output.entropy[0] if entropy else None
