"""The two ways to train, each as one of TRL's trainers over our rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maniplvm.models import Decoding, ImageTextPrompt, LoadedModel, encode_batch, generate
from maniplvm.rewards import score_batch
from maniplvm.training.config.recipe import JOINT, Recipe
from maniplvm.training.data.pool import SamplePool
from maniplvm.training.data.rows import Questions, prompts_of, questions_dataset
from maniplvm.training.loop.schedule import Schedule
from maniplvm.training.loop.trainers import QuietSFTTrainer, grpo_trainer_class
from maniplvm.training.packages import trl
from maniplvm.training.rewards.physics import PhysicsReward
from maniplvm.training.rewards.reward_function import Reward, ScoredBatch

_LONGEST_SAMPLE = 256


@dataclass(frozen=True)
class Method:
    """A trainer that is ready to run.

    Attributes:
        trainer: Of TRL.
        latest: Gives completions to look at.
        numbers: What the log says about them, beyond what TRL logs.
    """

    trainer: Any
    latest: Callable[[], ScoredBatch | None]
    numbers: Callable[[ScoredBatch], dict[str, float]]


def build_grpo(
    recipe: Recipe, loaded: LoadedModel, config: Any, pool: SamplePool, plan: Schedule
) -> Method:
    """GRPO (Shao et al., 2024) with the recipe's reward."""

    def decode(completion_ids: list[list[int]]) -> list[str]:
        return loaded.tokenizer.batch_decode(completion_ids, skip_special_tokens=True)

    wanted = recipe.rewards.physics
    physics = None if wanted is None else PhysicsReward(wanted)
    reward = Reward(recipe.preset, decode, recipe.data.task == JOINT, physics)
    asked = prompts_of(recipe, loaded)
    questions = Questions(pool, loaded, asked, supervised=False, keep=plan.prompts_at_once)
    base, options = trl().GRPOTrainer, dict[str, Any]()
    if recipe.shared_prefix.enabled:
        from maniplvm.training.shared_prefix import SharedPrefixTrainer

        base, options = SharedPrefixTrainer, {"shared_prefix": recipe.shared_prefix}
    kind: Any = grpo_trainer_class(base)
    trainer = kind(
        model=loaded.model,
        reward_funcs=[reward],
        args=config,
        train_dataset=questions_dataset(questions, plan.prompts),
        processing_class=loaded.processor,
        **options,
    )
    return Method(trainer, lambda: reward.latest, lambda _: {})


def build_sft(
    recipe: Recipe, loaded: LoadedModel, config: Any, pool: SamplePool, plan: Schedule
) -> Method:
    """Supervised fine-tuning on completions written from the targets; the prompt has no loss."""
    asked = prompts_of(recipe, loaded)
    questions = Questions(pool, loaded, asked, supervised=True)
    trainer = QuietSFTTrainer(
        model=loaded.model,
        args=config,
        train_dataset=questions_dataset(questions, plan.prompts),
        processing_class=loaded.processor,
    )
    places = np.linspace(0, pool.order.epoch_length - 1, recipe.monitor.samples).astype(int)
    joint = recipe.data.task == JOINT

    def latest() -> ScoredBatch:
        samples = [pool.at(place) for place in dict.fromkeys(places.tolist())]
        frames = [loaded.frame_for(sample.image_size) for sample in samples]
        texts = _greedy_completions(
            loaded,
            [
                ImageTextPrompt(
                    asked.ask(sample.instruction, sample.task, frame), sample.image or b""
                )
                for sample, frame in zip(samples, frames, strict=True)
            ],
        )
        return ScoredBatch(samples, texts, score_batch(texts, samples, recipe.preset, frames))

    return Method(trainer, latest, lambda batch: _numbers(batch, joint))


def _greedy_completions(loaded: LoadedModel, prompts: Sequence[ImageTextPrompt]) -> list[str]:
    """Generate between two training steps; no random number is drawn."""
    was_training = loaded.model.training
    loaded.model.eval()
    try:
        with torch.no_grad():
            inputs = encode_batch(loaded, prompts)
            completions = generate(loaded, inputs, Decoding(max_new_tokens=_LONGEST_SAMPLE))
            return [completion.text for completion in completions]
    finally:
        loaded.model.train(was_training)


def _numbers(batch: ScoredBatch, joint: bool) -> dict[str, float]:
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
