"""Predictors: whatever answers samples with text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction, read_predictions
from maniplvm.tasks import Sample


class Predictor(Protocol):
    """Whatever answers samples: a model in memory, one behind a server, a baseline, a file.

    Nothing heavy may happen before `predict` is first asked for an answer: an evaluation that is
    already finished never loads a model.
    """

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def draws(self) -> int:
        """How many completions a sample gets."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the completions besides the samples, JSON-ready.

        Completions of two predictors with the same settings may stand in one file.
        """
        ...

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Answer samples, which hold their images.

        Args:
            samples: Streamed; a predictor may read ahead.

        Returns:
            `draws` predictions for each sample, in any order.
        """
        ...


@runtime_checkable
class LeavesOut(Protocol):
    """A predictor that can be spared single draws of a sample, because each costs something."""

    def leave_out(self, known: Collection[tuple[str, int]]) -> None:
        """Do not make these completions again; by sample and draw."""
        ...


class FilePredictor:
    """Completions that were made elsewhere."""

    def __init__(self, path: Path, frame: str | None = None) -> None:
        """Read a predictions file.

        Args:
            path: The file.
            frame: The frame of lines that name none; None means original pixels.

        Raises:
            UserError: as `read_predictions`, or samples with different numbers of completions.
        """
        self._path = path
        self._frame = frame
        self._by_id: dict[str, list[Prediction]] = {}
        predictions = read_predictions(path)
        for prediction in predictions:
            framed = replace(prediction, frame=prediction.frame or frame)
            self._by_id.setdefault(prediction.id, []).append(framed)
        self._draws = 1 + max(prediction.draw for prediction in predictions)
        for name, own in self._by_id.items():
            if len(own) != self._draws:
                raise UserError(
                    f"{path}: {name} has {len(own)} completions, others have {self._draws}; "
                    "every sample needs the draws 0, 1, ... to the same number"
                )

    @property
    def name(self) -> str:
        """The file's."""
        return f"predictions:{self._path}"

    @property
    def draws(self) -> int:
        """How many completions each sample has in the file."""
        return self._draws

    @property
    def settings(self) -> Mapping[str, Any]:
        """The file and the frame."""
        return {"predictions": str(self._path), "frame": self._frame}

    def answers(self, id: str) -> bool:
        """Whether the file has completions of this sample."""
        return id in self._by_id

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """The file's completions of these samples.

        Raises:
            UserError: it does not answer one. Under a protocol that lets predictions be partial,
                `evaluate` asks only for those that it answers (`coverage` tells the share).
        """
        for sample in samples:
            if sample.id not in self._by_id:
                raise UserError(
                    f"{self._path}: does not answer sample {sample.id}; predict every sample, "
                    "choose others with --splits, --task or --limit, or choose a --protocol that "
                    "lets predictions be partial"
                )
            yield from self._by_id[sample.id]


def in_windows(samples: Iterable[Sample], size: int) -> Iterator[Sequence[Sample]]:
    """Samples in pieces of a size, the last one shorter."""
    window = list[Sample]()
    for sample in samples:
        window.append(sample)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window
