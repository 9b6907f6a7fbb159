"""Logs sample completions: text, scores, and target and answer drawn on the image."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from maniplvm.data import Annotation, contact_sheet, save_image, scene_of
from maniplvm.files import write_whole
from maniplvm.rewards import Score
from maniplvm.tasks import Sample
from maniplvm.training.rewards.reward_function import ScoredBatch


class SampleLogger(TrainerCallback):
    """Writes `step-000050.jsonl` and `.jpg` every `every` steps, in the main process only.

    Args:
        folder: The folder to write to.
        every: Optimizer steps between two logs.
        count: Completions in one log.
        latest: Returns completions with their scores; None if there are none yet.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        count: int,
        latest: Callable[[], ScoredBatch | None],
    ) -> None:
        self._folder = folder
        self._every = every
        self._count = count
        self._latest = latest

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Log completions when they are due, and always after the first step."""
        due = state.global_step == 1 or state.global_step % self._every == 0
        if not due or not state.is_world_process_zero:
            return
        batch = self._latest()
        if batch is not None:
            log_samples(self._folder, state.global_step, batch, self._count)


def log_samples(folder: Path, step: int, batch: ScoredBatch, count: int) -> None:
    """Write at most `count` completions, of different prompts where possible."""
    chosen = _choose([sample.id for sample in batch.samples], count)
    samples = [batch.samples[index] for index in chosen]
    scores = [batch.scores[index] for index in chosen]
    lines = [
        json.dumps(_record(step, sample, batch.texts[index], score), ensure_ascii=False) + "\n"
        for index, sample, score in zip(chosen, samples, scores, strict=True)
    ]
    annotations = [Annotation(score.answer.value, _caption(score)) for score in scores]
    folder.mkdir(exist_ok=True)
    save_image(contact_sheet(samples, annotations=annotations), folder / f"step-{step:06d}.jpg")
    write_whole(folder / f"step-{step:06d}.jsonl", "".join(lines))


def _choose(ids: Sequence[str], count: int) -> list[int]:
    """Indices of the first completion of each prompt, then of the second ones, and so on."""
    seen: dict[str, int] = {}
    ranked = list[tuple[int, int]]()
    for index, sample_id in enumerate(ids):
        seen[sample_id] = seen.get(sample_id, -1) + 1
        ranked.append((seen[sample_id], index))
    return [index for _, index in sorted(ranked)[:count]]


def _caption(score: Score) -> str:
    if not score.answer.parsed:
        return f"reward {score.total:.2f}, could not be parsed: {score.status}"
    terms = ", ".join(f"{name} {value:.2f}" for name, value in score.terms.items())
    return f"reward {score.total:.2f}: {terms}"


def _record(step: int, sample: Sample, text: str, score: Score) -> dict[str, Any]:
    answer = score.answer
    return {
        "step": step,
        "id": sample.id,
        "task": sample.task.value,
        "category": sample.category,
        "scene": scene_of(sample),
        "instruction": sample.instruction,
        "text": text,
        "parsed": answer.parsed,
        "well_formed": answer.well_formed,
        "status": answer.status.value,
        "guesses": [guess.value for guess in answer.guesses],
        "answer": None if answer.value is None else answer.value.tolist(),
        "target": _target_coordinates(sample),
        "image_size": list(sample.image_size),
        "reward": score.total,
        "terms": score.terms,
    }


def _target_coordinates(sample: Sample) -> Any:
    return getattr(sample.target, "xyxy", sample.target.points).tolist()
