"""Predictions files: one JSON object per line, `{"id": ..., "text": ..., "frame": optional}`.

Several completions of one sample are numbered by `draw`, from 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample
from maniplvm.text import encodable


@dataclass(frozen=True)
class Prediction:
    """One completion.

    Attributes:
        id: The sample's id.
        text: The completion. A lone surrogate, which no file can store, becomes U+FFFD. Everything
            else is unchanged.
        frame: The coordinate frame of its numbers (a name or a mapping, see `resolve_frame`); None
            if the file has none.
        draw: Index of the completion among those of the sample.
        tokens: Number of its tokens, if known.
        prompt_tokens: Number of tokens of its prompt, if a server counted them.
        finish: The server's finish reason, such as `stop` or `length`.
    """

    id: str
    text: str
    frame: str | Mapping[str, Any] | None = None
    draw: int = 0
    tokens: int | None = None
    prompt_tokens: int | None = None
    finish: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", encodable(self.text))

    @property
    def key(self) -> tuple[str, int]:
        """The sample's id and the draw: unique in a file."""
        return self.id, self.draw

    def to_line(self) -> str:
        """Its line in a predictions file, with the newline."""
        record = {"id": self.id, "draw": self.draw, "text": self.text, "frame": self.frame}
        known = {"tokens": self.tokens, "prompt_tokens": self.prompt_tokens, "finish": self.finish}
        record |= {name: value for name, value in known.items() if value is not None}
        return json.dumps(record, ensure_ascii=False) + "\n"


def read_predictions(path: Path) -> list[Prediction]:
    """Read a predictions file.

    Further keys are allowed and ignored.

    Raises:
        UserError: the file is missing or unreadable, a line has another form, an id (and draw)
            occurs twice, or the file is empty. The message names the file and the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from error
    seen: dict[tuple[str, int], int] = {}
    predictions = list[Prediction]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        prediction = _prediction(line, f"{path}, line {number}")
        if prediction.key in seen:
            numbered = f", draw {prediction.draw}" if prediction.draw else ""
            raise UserError(
                f"{path}, line {number}: id {prediction.id}{numbered} is already in line "
                f"{seen[prediction.key]}; keep one of them"
            )
        seen[prediction.key] = number
        predictions.append(prediction)
    if not predictions:
        raise UserError(f"{path}: has no predictions")
    return predictions


def _prediction(line: str, where: str) -> Prediction:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict) or "id" not in record or "text" not in record:
        raise UserError(f'{where}: expected {{"id": ..., "text": ..., "frame": optional}}')
    if not isinstance(record["id"], str | int) or not isinstance(record["text"], str):
        raise UserError(f"{where}: id must be a string or an integer, text must be a string")
    frame = record.get("frame")
    if not (frame is None or isinstance(frame, str | dict)):
        raise UserError(f"{where}: frame must be a name or an object with a name")
    draw, tokens = record.get("draw", 0), record.get("tokens")
    if type(draw) is not int or draw < 0 or not (tokens is None or type(tokens) is int):
        raise UserError(f"{where}: draw and tokens must be integers, draw at least 0")
    prompt, finish = record.get("prompt_tokens"), record.get("finish")
    if not (prompt is None or type(prompt) is int):
        raise UserError(f"{where}: prompt_tokens must be an integer")
    if not (finish is None or isinstance(finish, str)):
        raise UserError(f"{where}: finish must be a string")
    text = record["text"]
    return Prediction(str(record["id"]), text, frame, draw, tokens, prompt, finish)


@dataclass(frozen=True)
class MatchedPredictions:
    """Predictions paired with their samples, in the order of the predictions.

    Attributes:
        samples: The sample of each prediction.
        predictions: The predictions.
        missing: Number of samples without a prediction.
    """

    samples: Sequence[Sample]
    predictions: Sequence[Prediction]
    missing: int


def match_predictions(
    predictions: Sequence[Prediction], samples: Iterable[Sample], where: str
) -> MatchedPredictions:
    """Pair each prediction with its sample.

    Args:
        predictions: The predictions.
        samples: All samples; images are not needed.
        where: A name of the data for error messages.

    Raises:
        UserError: the id of a prediction is not in the data.
    """
    wanted = {prediction.id for prediction in predictions}
    found: dict[str, Sample] = {}
    total = 0
    for sample in samples:
        total += 1
        if sample.id in wanted:
            found[sample.id] = sample
    unknown = [prediction.id for prediction in predictions if prediction.id not in found]
    if unknown:
        raise UserError(
            f"{len(unknown)} of {len(predictions)} predictions have an id that is not in "
            f"{where}, such as {unknown[0]}; check --data and --split"
        )
    return MatchedPredictions([found[p.id] for p in predictions], predictions, total - len(found))
