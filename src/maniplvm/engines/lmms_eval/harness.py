"""What lmms-eval calls while it runs: questions from our prompts, numbers from our protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation import Habit, Prediction
from maniplvm.evaluation.measurement import measure_all
from maniplvm.evaluation.protocols import resolve_protocol
from maniplvm.geometry import Frame, resolve_frame
from maniplvm.rewards import resolve_preset
from maniplvm.tasks import Sample, Task, resolve_prompt, write_answer

RATES = ("parse_rate", "format_rate")
"""What is reported besides a protocol's measures: readable, and in the exact form asked for."""
REWARD = "reward"
PUBLISHED = "_published"
"""Ends the name of a measure in the published reading; the strict one has the plain name."""

Doc = Mapping[str, Any]
"""A row of a stored data set, as `datasets` decodes it; lmms-eval leaves its images out when it scores."""


class Harness:
    """A stored data set under one protocol, in the form of functions that lmms-eval takes.

    Args:
        data: The folder of the data set.
        family: How the model is asked and answers; a name from `PROMPTS`.
        protocol: A name from `PROTOCOLS`.
        preset: Of the reward; as in `resolve_preset`.
        min_pixels: Smallest area of an image that the model sees [px squared], for a family that
            answers in pixels of what it saw; None takes the family's own.
        max_pixels: Largest area [px squared].

    Raises:
        UserError: an unknown family, protocol or preset, or a frame without image sizes that
            is given some; the valid names are listed.
    """

    def __init__(
        self,
        data: str | Path,
        *,
        family: str,
        protocol: str = "maniplvm",
        preset: str = "paper",
        min_pixels: int | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self._data = Path(data)
        self._prompt = resolve_prompt(family)
        self.protocol = resolve_protocol(protocol)
        self._preset = resolve_preset(preset)
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        sizes = {name: limit for name, limit in limits.items() if limit is not None}
        self.frame: dict[str, Any] = {"name": self._prompt.frame.name, **sizes}
        try:
            resolve_frame(self.frame, (640, 480))
        except ValueError as error:
            raise UserError(f"family {family}: {error}") from error

    def docs(self, docs: Any, task: str) -> Any:
        """`process_docs`: the rows of one task of a split.

        Args:
            docs: A `datasets.Dataset`.
            task: `affordance`, `trajectory` or `pointing`.
        """
        return docs.filter(lambda own: own == task, input_columns=["task"])

    def visual(self, doc: Doc) -> list[Any]:
        """`doc_to_visual`: the image, in RGB."""
        return [doc["image"].convert("RGB")]

    def text(self, doc: Doc) -> str:
        """`doc_to_text`: the question, as `maniplvm evaluate` asks it."""
        frame = self._frame((doc["width"], doc["height"]))
        return self._prompt.ask(doc["instruction"], doc["task"], frame)

    def target(self, doc: Doc) -> str:
        """`doc_to_target`: the right answer in the family's numbers, for the log."""
        sample = self._sample(doc)
        return write_answer(sample.target, self._frame(sample.image_size))

    def results(self, doc: Doc, results: Sequence[str]) -> dict[str, float | None]:
        """`process_results`: one completion's values by metric.

        Args:
            doc: What was asked.
            results: The completion, alone.

        Returns:
            Every name of `metrics`; None where a reading leaves the completion out.
        """
        sample = self._sample(doc)
        said = Prediction(sample.id, results[0], self.frame)
        measured = measure_all([said], [sample], 1, self.protocol, self._preset, {}, {})
        (scored,) = measured.samples
        counted = scored.parsed or self.protocol.tasks[sample.task].habit is not Habit.LEFT_OUT
        published = {
            name + PUBLISHED: value if counted else None for name, value in scored.measures.items()
        }
        rates = (float(scored.parsed), float(scored.well_formed))
        return {
            **scored.measures,
            **published,
            **dict(zip(RATES, rates, strict=True)),
            REWARD: scored.reward,
        }

    def mean(self, values: Sequence[float | None]) -> float:
        """`aggregation`: the mean of what was counted, NaN of nothing."""
        counted = [value for value in values if value is not None]
        return float(np.mean(counted)) if counted else float("nan")

    def measures(self, task: Task) -> bool:
        """Whether the protocol measures a task, and needs no more than completions for it."""
        own = self.protocol.tasks.get(task)
        return own is not None and not own.needs_outcome

    def metrics(self, task: Task) -> dict[str, bool]:
        """Whether higher is better, by the name of each metric of a task that it measures."""
        measures = self.protocol.tasks[task].measures
        better = {measure.name: not measure.lower_is_better for measure in measures}
        published = {name + PUBLISHED: higher for name, higher in better.items()}
        return {**better, **published, **dict.fromkeys((*RATES, REWARD), True)}

    @cached_property
    def _samples(self) -> dict[str, Sample]:
        return {each.id: each for each in open_dataset(self._data).samples(images=False)}

    def _sample(self, doc: Doc) -> Sample:
        return self._samples[doc["id"]]

    def _frame(self, image_size: tuple[int, int]) -> Frame:
        return resolve_frame(self.frame, image_size)
