"""TRL's GRPO trainer, with each prompt computed once for all its completions."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import (
    split_pixel_values_by_grid,
    split_tensor_dict,
    unsplit_pixel_values_by_grid,
)

from maniplvm.models.parameters import base_model
from maniplvm.training.shared_prefix.checks import check_policy, check_rollout
from maniplvm.training.shared_prefix.images import each_image_processed_once
from maniplvm.training.shared_prefix.plain_batch import (
    Images,
    PlainBatch,
    first_rows,
    lead_rows,
)
from maniplvm.training.shared_prefix.policy import GroupScores, score_groups
from maniplvm.training.shared_prefix.rollout import rollout_obstacle, shared_prefill
from maniplvm.training.shared_prefix.settings import SharedPrefixSettings
from maniplvm.training.shared_prefix.support import obstacle
from maniplvm.training.shared_prefix.verification import Agreement

logger = logging.getLogger(__name__)

POLICY, ROLLOUT = "log-probabilities", "completions"
_FIELDS = {"pixel_values", "image_grid_thw", "mm_token_type_ids"}


class SharedPrefixTrainer(GRPOTrainer):
    """`GRPOTrainer` that pays for prompt and images once per group; results are the same.

    It takes what `GRPOTrainer` takes, and `shared_prefix`. Every loss, reward and schedule is
    TRL's; only where completions and their log-probabilities come from differs. Where sharing
    is not possible, or does not give what the plain pass gives, it says so in the log and does
    what TRL does.

    Attributes:
        shared_prefix: The settings.
        agreements: By what was verified, how far it was from the plain pass.
        fallbacks: By what is not shared although it was wanted, why.
    """

    def __init__(
        self, *args: Any, shared_prefix: SharedPrefixSettings | None = None, **kwargs: Any
    ) -> None:
        self.shared_prefix = shared_prefix or SharedPrefixSettings()
        self.agreements: dict[str, Agreement] = {}
        self.fallbacks: dict[str, str] = {}
        super().__init__(*args, **kwargs)
        reason = obstacle(self.accelerator.unwrap_model(self.model))
        for what in (POLICY, ROLLOUT):
            if reason is not None and self._shares(what):
                self._fall_back(what, reason)

    def _shares(self, what: str) -> bool:
        settings = self.shared_prefix
        wanted = settings.policy if what == POLICY else settings.rollout and not self.use_vllm
        return settings.enabled and wanted and what not in self.fallbacks

    def _unverified(self, what: str) -> bool:
        """A pass that was compared without gradients is compared again when there are some."""
        known = self.agreements.get(what)
        first_gradient = what == POLICY and self._compares_gradients() and known is not None
        missing = known is None or (first_gradient and known.gradient is None)
        return self.shared_prefix.verify and missing

    def _compares_gradients(self) -> bool:
        """Not where parameters are spread over processes, or a layer may run only forwards."""
        spread = (DistributedType.FSDP, DistributedType.DEEPSPEED)
        args: Any = self.args
        settings = args.gradient_checkpointing_kwargs or {}
        reentrant = args.gradient_checkpointing and settings.get("use_reentrant", False)
        whole = self.accelerator.distributed_type not in spread
        return torch.is_grad_enabled() and whole and not reentrant

    def _fall_back(self, what: str, reason: str) -> None:
        self.fallbacks[what] = reason
        if self.accelerator.is_main_process:
            logger.warning("shared prefix: %s come from TRL's own pass: %s", what, reason)

    def _judge(self, what: str, agreement: Agreement) -> None:
        """Trust what agrees on every process, and fall back from the rest."""
        self.agreements[what] = agreement
        fault = not agreement.holds(self.shared_prefix)
        faults: Any = self.accelerator.gather(torch.tensor([fault], device=self.accelerator.device))
        if bool(faults.any()):
            self._fall_back(what, f"VERIFICATION FAILED, {agreement}; please report this model")
        elif self.accelerator.is_main_process:
            logger.info("shared prefix: %s verified against the plain pass: %s", what, agreement)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """As TRL's, but whole groups are shuffled, so that siblings meet in one micro-batch."""
        model: Any = self.model
        if not (self._shares(POLICY) and model.training):
            return super()._prepare_inputs(generation_batch)
        args: Any = self.args
        steps, group = args.steps_per_generation, args.num_generations
        if self._step % (steps * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            batch = shuffle_groups(split_pixel_values_by_grid(batch), group)
            parts: Any = split_tensor_dict(batch, steps)
            self._buffered_inputs = [unsplit_pixel_values_by_grid(part) for part in parts]
        return self._buffered_inputs[self._step % steps]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        if not self.shared_prefix.enabled:
            return super()._generate_and_score_completions(inputs)
        with each_image_processed_once(self.processing_class):
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
            images = Images(pixel_values, image_grid_thw, tuple(num_images))
        batch = PlainBatch(input_ids, attention_mask, logits_to_keep, mm_token_type_ids, images)
        plain = super()._get_per_token_logps_and_entropies
        if self._shares(POLICY):
            strange = {name for name, value in others.items() if value is not None}
            if pixel_values is not None and images is None:
                strange.add("pixel_values without a grid")
            if compute_aux_loss:
                self._fall_back(POLICY, "the balance of experts is counted over the plain batch")
            elif strange:
                self._fall_back(POLICY, f"the batch holds {', '.join(sorted(strange))}")
            elif self._unverified(POLICY):
                some = batch.take(first_rows(batch.groups().prompt_of.tolist()))
                agreement = check_policy(
                    model,
                    some,
                    self._compares_gradients(),
                    lambda model, some: plain(model, **some.arguments())[0],
                    lambda model, some: self._shared_scores(model, some, entropy=False).logprobs,
                    self._dtype(model),
                )
                self._judge(POLICY, agreement)
        if self._shares(POLICY):
            scores = self._shared_scores(model, batch, entropy=compute_entropy)
            return scores.logprobs, scores.entropies, None
        arguments = {"pixel_values": pixel_values, "image_grid_thw": image_grid_thw}
        return plain(model, **{**batch.arguments(), **arguments, **options, **others})

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
        mixed = names.get(str(self.accelerator.mixed_precision))
        return mixed or base_model(self.accelerator.unwrap_model(model)).dtype

    def _generate_single_turn(
        self,
        prompt_ids: list[list[int]],
        images: list[Any] | None,
        multimodal_fields: dict[str, Any],
        num_generations: int,
        has_tool_images: bool = False,
    ) -> tuple[list[list[int]], Any]:
        usual = super()._generate_single_turn
        if self._shares(ROLLOUT):
            reason = self._rollout_obstacle(multimodal_fields, has_tool_images)
            if reason is not None:
                self._fall_back(ROLLOUT, reason)
        if self._shares(ROLLOUT):
            result = self._shared_rollout(prompt_ids, images, multimodal_fields, num_generations)
            if self._shares(ROLLOUT):
                return result
        return usual(prompt_ids, images, multimodal_fields, num_generations, has_tool_images)

    def _shared_rollout(
        self,
        prompt_ids: list[list[int]],
        images: list[Any] | None,
        fields: dict[str, Any],
        group: int,
    ) -> tuple[list[list[int]], Any]:
        """TRL's own rollout of each prompt once, with a way of decoding that returns all siblings."""
        types = fields.get("mm_token_type_ids")
        pictures = None
        if "pixel_values" in fields and images is not None:
            pictures = Images(
                torch.as_tensor(fields["pixel_values"]),
                torch.as_tensor(fields["image_grid_thw"]),
                tuple(len(each) if each else 0 for each in images),
            )
        kept, group_of = lead_rows([a == b for a, b in pairwise(prompt_ids)], pictures)
        fewer: dict[str, Any] = {}
        shown = None if pictures is None else pictures.take(kept)
        if shown is not None:
            fewer = {"pixel_values": shown.pixel_values, "image_grid_thw": shown.image_grid_thw}
        if types is not None:
            fewer["mm_token_type_ids"] = [types[row] for row in kept]
        base = base_model(self.accelerator.unwrap_model(self.model_wrapped))
        record: dict[int, list[float]] | None = {} if self._unverified(ROLLOUT) else None
        with shared_prefill(base, torch.tensor(group_of), record):
            result = super()._generate_single_turn(
                [prompt_ids[row] for row in kept],
                None if images is None else [images[row] for row in kept],
                fewer,
                group,
            )
        if record is not None:
            rows = first_rows(group_of)
            agreement = check_rollout(
                base,
                [prompt_ids[row] for row in rows],
                [result[0][row] for row in rows],
                [record[row] for row in rows],
                None if pictures is None else pictures.take(rows),
                None if types is None else [types[row] for row in rows],
                self._dtype(base),
            )
            self._judge(ROLLOUT, agreement)
        return result

    def _rollout_obstacle(self, fields: dict[str, Any], tool_images: bool) -> str | None:
        if self.use_transformers_continuous_batching:
            return "continuous batching has its own cache"
        if tool_images:
            return "tools brought images"
        strange = sorted(set(fields) - _FIELDS)
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


def fused_head(
    model: Any, inputs: dict[str, Any], targets: Tensor, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    """TRL's own head, which the trainer put on the model: it knows temperature and caps."""
    output = model(**inputs, shift_labels=targets[None], fused_lm_head=True)
    return output.log_probs[0], output.entropy[0] if entropy else None
