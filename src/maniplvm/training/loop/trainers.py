"""TRL's trainers over the rows of a recipe, with what a resumable run needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PrinterCallback
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import SFTTrainer

from maniplvm.models import Decoding, ImageTextPrompt, LoadedModel, encode_batch, generate
from maniplvm.models.generation_config import only_settings_of
from maniplvm.rewards import score_batch
from maniplvm.training.config.recipe import JOINT, Recipe
from maniplvm.training.config.trainer_settings import Schedule
from maniplvm.training.data.pool import SamplePool
from maniplvm.training.data.rows import PromptRows, prompt_dataset, recipe_prompts
from maniplvm.training.loop.finite import FiniteLoss
from maniplvm.training.rewards.physics import PhysicsReward
from maniplvm.training.rewards.reward_function import RewardFunction, ScoredBatch

_MAX_SAMPLE_TOKENS = 256


@dataclass(frozen=True)
class TrainerSetup:
    """A trainer that is ready to run.

    Attributes:
        trainer: The trainer of TRL.
        latest: Returns completions for the sample logger.
        metrics: Returns the metrics of those completions that TRL does not log itself.
    """

    trainer: Any
    latest: Callable[[], ScoredBatch | None]
    metrics: Callable[[ScoredBatch], dict[str, float]]


def build_trainer(
    method: str,
    recipe: Recipe,
    loaded: LoadedModel,
    config: Any,
    pool: SamplePool,
    schedule: Schedule,
) -> TrainerSetup:
    """The trainer of a run.

    Args:
        method: `sft` or `grpo`.
        recipe: The recipe.
        loaded: The model to train.
        config: The `trl.SFTConfig` or `trl.GRPOConfig`.
        pool: The training samples.
        schedule: Steps and prompts of the run.
    """
    build = _build_grpo if method == "grpo" else _build_sft
    return build(recipe, loaded, config, pool, schedule)


def _build_grpo(
    recipe: Recipe, loaded: LoadedModel, config: Any, pool: SamplePool, schedule: Schedule
) -> TrainerSetup:
    """GRPO (Shao et al., 2024) with the recipe's reward."""

    def decode(completion_ids: list[list[int]]) -> list[str]:
        return loaded.tokenizer.batch_decode(completion_ids, skip_special_tokens=True)

    settings = recipe.rewards.physics
    physics = None if settings is None else PhysicsReward(settings)
    reward = RewardFunction(recipe.preset, decode, recipe.data.task == JOINT, physics)
    prompts = recipe_prompts(recipe, loaded)
    batch = schedule.prompts_per_batch
    rows = PromptRows(pool, loaded, prompts, with_completion=False, cache_size=batch)
    base, options = _grpo_base(recipe)
    kind: Any = grpo_trainer_class(base)
    trainer = kind(
        model=loaded.model,
        reward_funcs=[reward],
        args=config,
        train_dataset=prompt_dataset(rows, schedule.prompts),
        processing_class=loaded.processor,
        **options,
    )
    return TrainerSetup(trainer, lambda: reward.latest, lambda _: {})


def _build_sft(
    recipe: Recipe, loaded: LoadedModel, config: Any, pool: SamplePool, schedule: Schedule
) -> TrainerSetup:
    """SFT on completions written from the targets; prompt tokens have no loss."""
    prompts = recipe_prompts(recipe, loaded)
    rows = PromptRows(pool, loaded, prompts, with_completion=True)
    trainer = QuietSFTTrainer(
        model=loaded.model,
        args=config,
        train_dataset=prompt_dataset(rows, schedule.prompts),
        processing_class=loaded.processor,
    )
    positions = np.linspace(0, pool.order.epoch_length - 1, recipe.monitor.samples).astype(int)
    joint = recipe.data.task == JOINT

    def latest() -> ScoredBatch:
        samples = [pool.at(position) for position in dict.fromkeys(positions.tolist())]
        frames = [loaded.frame_for(sample.image_size) for sample in samples]
        asked = [
            ImageTextPrompt(
                prompts.format(sample.instruction, sample.task, frame), sample.image or b""
            )
            for sample, frame in zip(samples, frames, strict=True)
        ]
        texts = _greedy_completions(loaded, asked)
        return ScoredBatch(samples, texts, score_batch(texts, samples, recipe.preset, frames))

    return TrainerSetup(trainer, latest, lambda batch: _mean_metrics(batch, joint))


def _grpo_base(recipe: Recipe) -> tuple[type[GRPOTrainer], dict[str, Any]]:
    """The GRPO trainer class that a recipe needs, and its additional arguments."""
    if not recipe.shared_prefix.enabled:
        return GRPOTrainer, {}
    from maniplvm.training.shared_prefix import SharedPrefixTrainer

    return SharedPrefixTrainer, {"shared_prefix": recipe.shared_prefix}


def _greedy_completions(loaded: LoadedModel, prompts: Sequence[ImageTextPrompt]) -> list[str]:
    """Completions between two training steps, without drawing a random number."""
    was_training = loaded.model.training
    loaded.model.eval()
    try:
        with torch.no_grad():
            inputs = encode_batch(loaded, prompts)
            completions = generate(loaded, inputs, Decoding(max_new_tokens=_MAX_SAMPLE_TOKENS))
            return [completion.text for completion in completions]
    finally:
        loaded.model.train(was_training)


def _mean_metrics(batch: ScoredBatch, joint: bool) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for sample, score in zip(batch.samples, batch.scores, strict=True):
        prefix = f"reward/{sample.task}/" if joint else "reward/"
        named = {prefix + name: value for name, value in score.terms.items()}
        named["reward"] = score.total
        named["parse_rate"] = float(score.answer.parsed)
        named["format_rate"] = float(score.answer.well_formed)
        for name, value in named.items():
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(each)) for name, each in values.items()}


class _Quiet:
    """A trainer that prints no logs, writes no model card, and sends no usage statistics."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # type: ignore[attr-defined]

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write no model card; `run.json` holds the record of the run."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load full weights under the parameter names of the model in memory.

        `Trainer` uses the parameter names of the checkpoint and ignores names that do not match.
        Qwen2.5-VL is saved under older names than it has in memory, so nothing would be loaded.
        """
        trainer: Any = self
        is_plain = not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)
        if not is_plain or hasattr(trainer.model, "get_base_model"):
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        policy = trainer.accelerator.unwrap_model(trainer.model if model is None else model)
        saved = type(policy).from_pretrained(resume_from_checkpoint, dtype=policy.dtype)
        policy.load_state_dict(saved.state_dict())

    def _send_telemetry(self) -> None:
        """Send nothing: training works offline."""


class _GroupRewardStd:
    """Logs the mean standard deviation within groups; TRL's `reward_std` is over all rewards."""

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        rewards = super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]
        trainer: Any = self
        if not torch.isfinite(rewards).all():
            raise ValueError("a reward is missing or not finite; TRL would ignore it silently")
        totals = (rewards * trainer.reward_weights.to(rewards.device)).sum(dim=1)
        std = totals.view(-1, trainer.num_generations).std(dim=1).mean().item()
        trainer._metrics["train"]["group_reward_std"].append(std)
        return rewards


class _OwnGenerationSettings:
    """Rollouts use the recipe's settings only, not those that the checkpoint brings."""

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        trainer: Any = self
        model = trainer.accelerator.unwrap_model(trainer.model)
        with only_settings_of(trainer.generation_config, model):
            return super()._generate_single_turn(*args, **kwargs)  # type: ignore[misc]


class QuietSFTTrainer(_Quiet, FiniteLoss, SFTTrainer):
    """`trl.SFTTrainer` for our runs."""


def grpo_trainer_class(base: type[GRPOTrainer]) -> type[GRPOTrainer]:
    """`trl.GRPOTrainer`, or a subclass of it, for our runs.

    Args:
        base: The class to extend.
    """
    parts = (_Quiet, FiniteLoss, _GroupRewardStd, _OwnGenerationSettings, base)
    return type("QuietGRPOTrainer", parts, {})
