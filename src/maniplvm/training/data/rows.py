"""Samples as rows for TRL's trainers, made when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.geometry import Frame
from maniplvm.models import ModelInterface
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
from maniplvm.training.packages import datasets


class Questions:
    """Rows by place in the run: the transform of a `datasets.Dataset` of places.

    A row holds `prompt` (one turn of a chat, the image not yet in it), `image` (a Pillow image),
    and, for supervision, `completion`; else the `sample` and its `frame`.

    Args:
        pool: The samples.
        interface: Of the model that is asked.
        prompts: How it is asked.
        supervised: Whether rows carry the completion to learn.
        keep: How many of the latest rows stay decoded: TRL reads a batch again for every step
            that its completions serve.
    """

    def __init__(
        self,
        pool: SamplePool,
        interface: ModelInterface,
        prompts: PromptStyle,
        supervised: bool,
        keep: int = 64,
    ) -> None:
        self._pool = pool
        self._frame_spec = interface.frame_spec
        self._prompts = prompts
        self._supervised = supervised
        self._keep = keep
        self._rows: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        """Rows for places: what `datasets` calls."""
        rows = [self.row(position) for position in batch["position"]]
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def row(self, position: int) -> dict[str, Any]:
        """The row at one place of the run."""
        if position not in self._rows:
            self._rows[position] = self._made(self._pool.at(position))
            if len(self._rows) > self._keep:
                self._rows.popitem(last=False)
        return dict(self._rows[position])

    def _made(self, sample: Sample) -> dict[str, Any]:
        frame = self._frame_spec.bind(sample.image_size)
        asked = self._prompts.ask(sample.instruction, sample.task, frame)
        row: dict[str, Any] = {
            "prompt": [{"role": "user", "content": asked}],
            "image": _decoded(sample),
        }
        if self._supervised:
            row["completion"] = [{"role": "assistant", "content": taught_text(sample, frame)}]
        else:
            row["sample"], row["frame"] = sample, frame
        return row

    def __getstate__(self) -> dict[str, Any]:
        """Without decoded images."""
        return {**self.__dict__, "_rows": OrderedDict()}


def questions_dataset(questions: Questions, count: int) -> Any:
    """The first `count` rows of a run as a `datasets.Dataset` that makes them when asked."""
    places = np.arange(count, dtype=np.int32)
    table = datasets().Dataset.from_dict({"position": places})
    return table.with_transform(questions)


def prompts_of(recipe: Recipe, interface: ModelInterface) -> PromptStyle:
    """How a recipe asks a model: its own templates, else the family's."""
    return resolve_prompt(interface.family.name, recipe.prompts)


def taught_text(sample: Sample, frame: Frame) -> str:
    """The completion that supervision teaches for a sample."""
    target = sample.target
    if isinstance(target, TraceTarget):
        target = answerable_trace(target)
    return write_completion(target, frame, write_reasoning(sample))


def _decoded(sample: Sample) -> Any:
    try:
        return decode(sample.image or b"", f"the image of sample {sample.id!r}")
    except RecordError as error:
        raise UserError(f"{error.cause}: {error.detail}") from error
