"""Samples as rows for TRL's trainers, built when a trainer asks for them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.geometry import Frame
from maniplvm.models import ModelInterface
from maniplvm.optional import datasets
from maniplvm.tasks import (
    PromptStyle,
    Sample,
    TraceTarget,
    answerable_trace,
    resolve_prompt,
    write_completion,
    write_reasoning,
)
from maniplvm.training.config.recipe import Recipe
from maniplvm.training.data.pool import SamplePool


class PromptRows:
    """Rows by position in the run: the transform of a `datasets.Dataset` of positions.

    A row holds `prompt` (one chat turn without the image) and `image` (a Pillow image). For SFT it
    also holds the reference `completion`, for GRPO the `sample` and its `frame`.

    Args:
        pool: The training samples.
        interface: Processor, tokenizer and coordinate frame of the model.
        prompts: The prompt templates.
        with_completion: Whether rows hold the reference completion (SFT).
        cache_size: Number of latest rows that stay decoded. TRL reads a batch again for every step
            that uses its completions.
    """

    def __init__(
        self,
        pool: SamplePool,
        interface: ModelInterface,
        prompts: PromptStyle,
        with_completion: bool,
        cache_size: int = 64,
    ) -> None:
        self._pool = pool
        self._frame_spec = interface.frame_spec
        self._prompts = prompts
        self._with_completion = with_completion
        self._cache_size = cache_size
        self._rows: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        """The rows at positions, as `datasets` asks for them."""
        rows = [self.row(position) for position in batch["position"]]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def row(self, position: int) -> dict[str, Any]:
        """The row at one position of the run."""
        if position not in self._rows:
            self._rows[position] = self._build(self._pool.at(position))
            if len(self._rows) > self._cache_size:
                self._rows.popitem(last=False)
        return dict(self._rows[position])

    def _build(self, sample: Sample) -> dict[str, Any]:
        frame = self._frame_spec.bind(sample.image_size)
        prompt = self._prompts.format(sample.instruction, sample.task, frame)
        row: dict[str, Any] = {
            "prompt": [{"role": "user", "content": prompt}],
            "image": _decode_image(sample),
        }
        if self._with_completion:
            text = reference_completion(sample, frame)
            row["completion"] = [{"role": "assistant", "content": text}]
        else:
            row["sample"], row["frame"] = sample, frame
        return row

    def __getstate__(self) -> dict[str, Any]:
        """The state for pickling, without decoded images."""
        return {**self.__dict__, "_rows": OrderedDict()}


def prompt_dataset(rows: PromptRows, count: int) -> Any:
    """The first `count` rows of a run as a `datasets.Dataset` that builds them on access."""
    positions = np.arange(count, dtype=np.int32)
    table = datasets().Dataset.from_dict({"position": positions})
    return table.with_transform(rows)


def recipe_prompts(recipe: Recipe, interface: ModelInterface) -> PromptStyle:
    """The prompt templates of a recipe; by default those of the model family."""
    return resolve_prompt(interface.family.name, recipe.prompts)


def reference_completion(sample: Sample, frame: Frame) -> str:
    """The completion that SFT trains for a sample."""
    target = sample.target
    if isinstance(target, TraceTarget):
        target = answerable_trace(target)
    return write_completion(target, frame, write_reasoning(sample))


def _decode_image(sample: Sample) -> Any:
    try:
        return decode(sample.image or b"", f"the image of sample {sample.id!r}")
    except RecordError as error:
        raise UserError(f"{error.code}: {error.detail}") from error
