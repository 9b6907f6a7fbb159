"""The predictor interface, and the predictor that reads a predictions file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction, read_predictions
from maniplvm.tasks import Sample


class Predictor(Protocol):
    """Gives completions for samples: a local model, a served model, a baseline or a file.

    Loading must wait until the first completion is requested, so that a finished evaluation never
    loads a model.
    """

    @property
    def name(self) -> str:
        """The name in results and reports."""
        ...

    @property
    def draws(self) -> int:
        """Completions of each sample."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All settings that affect the completions, as JSON data.

        One predictions file may hold completions of two predictors with the same settings.
        """
        ...

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Complete samples, which have their images.

        Args:
            samples: A stream of samples; a predictor may read ahead.

        Returns:
            `draws` predictions for each sample, in any order.
        """
        ...


@runtime_checkable
class Resumable(Protocol):
    """A predictor that can skip single draws of a sample, such as one that pays per request."""

    def skip_completed(self, keys: Collection[tuple[str, int]]) -> None:
        """Skip these pairs of sample id and draw."""
        ...


class FilePredictor:
    """Completions from a predictions file."""

    def __init__(self, path: Path, frame: str | None = None) -> None:
        """Read a predictions file.

        Args:
            path: The file.
            frame: The frame of lines without one; None means original pixels.

        Raises:
            UserError: as `read_predictions`, or samples have different numbers of completions.
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
                    "every sample needs the same draws 0, 1, ..."
                )

    @property
    def name(self) -> str:
        """The file's path, after `predictions:`."""
        return f"predictions:{self._path}"

    @property
    def draws(self) -> int:
        """Completions of each sample in the file."""
        return self._draws

    @property
    def settings(self) -> Mapping[str, Any]:
        """The file's path and the frame."""
        return {"predictions": str(self._path), "frame": self._frame}

    def has(self, id: str) -> bool:
        """Whether the file has completions of this sample."""
        return id in self._by_id

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """The file's completions of these samples.

        Raises:
            UserError: a sample has no completion. Under a protocol that allows partial predictions,
                `evaluate` only requests samples of the file (`coverage` is their share).
        """
        for sample in samples:
            if sample.id not in self._by_id:
                raise UserError(
                    f"{self._path}: has no completion of sample {sample.id}; predict every sample, "
                    "choose others with --splits, --task or --limit, or choose a --protocol that "
                    "allows partial predictions"
                )
            yield from self._by_id[sample.id]


def in_windows(samples: Iterable[Sample], size: int) -> Iterator[Sequence[Sample]]:
    """Samples in windows of a size; the last one may be shorter."""
    window = list[Sample]()
    for sample in samples:
        window.append(sample)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window
