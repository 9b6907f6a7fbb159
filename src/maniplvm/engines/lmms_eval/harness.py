"""The functions that lmms-eval calls: prompts of this package, and values of its protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation import Prediction, UnreadablePolicy
from maniplvm.evaluation.protocols import resolve_protocol
from maniplvm.evaluation.scoring import score_all
from maniplvm.geometry import Frame, resolve_frame
from maniplvm.rewards import resolve_preset
from maniplvm.tasks import Sample, Task, resolve_prompt, write_answer

RATES = ("parse_rate", "format_rate")
"""Metrics besides a protocol's measures: the rates of parsed and of well-formed completions."""
REWARD = "reward"
PUBLISHED = "_published"
"""The suffix of a measure in the published reading; the strict reading has no suffix."""

Doc = Mapping[str, Any]
"""A row of a stored data set, as `datasets` decodes it; during scoring it has no image."""


class Harness:
    """A stored data set under one protocol, as the functions of an lmms-eval task.

    Args:
        data: The folder of the data set.
        family: The model's family, which decides prompt and frame; a name from `PROMPTS`.
        protocol: A name from `PROTOCOLS`.
        preset: The reward preset; as in `resolve_preset`.
        min_pixels: Smallest image area [px squared], for a family that answers in pixels of the
            resized image; None takes the family's own.
        max_pixels: Largest image area [px squared].

    Raises:
        UserError: an unknown family, protocol or preset (the valid names are listed), or limits
            for a family whose frame has no resize.
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
        """`doc_to_text`: the prompt, the same as in `maniplvm evaluate`."""
        frame = self._frame((doc["width"], doc["height"]))
        return self._prompt.format(doc["instruction"], doc["task"], frame)

    def target(self, doc: Doc) -> str:
        """`doc_to_target`: the target in the family's frame, for the log."""
        sample = self._sample(doc)
        return write_answer(sample.target, self._frame(sample.image_size))

    def results(self, doc: Doc, results: Sequence[str]) -> dict[str, float | None]:
        """`process_results`: the values of one completion by metric.

        Args:
            doc: The row of the sample.
            results: A list with the completion.

        Returns:
            A value for every name of `metrics`; None if a reading leaves the completion out.
        """
        sample = self._sample(doc)
        prediction = Prediction(sample.id, results[0], self.frame)
        result = score_all([prediction], [sample], 1, self.protocol, self._preset, {}, {})
        (scored,) = result.samples
        policy = self.protocol.tasks[sample.task].unreadable
        counted = scored.parsed or policy is not UnreadablePolicy.LEFT_OUT
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
        """`aggregation`: the mean of the values that are not None; NaN if there are none."""
        counted = [value for value in values if value is not None]
        return float(np.mean(counted)) if counted else float("nan")

    def measures(self, task: Task) -> bool:
        """Whether the protocol can measure a task from completions alone."""
        own = self.protocol.tasks.get(task)
        return own is not None and not own.needs_outcome

    def metrics(self, task: Task) -> dict[str, bool]:
        """The metrics of a task: whether higher is better, by name."""
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
