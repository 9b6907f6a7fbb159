"""Predictions files: one JSON object a line, `{"id": ..., "text": ..., "frame": optional}`.

A file with several completions of a sample numbers them by `draw`, from 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample


@dataclass(frozen=True)
class Prediction:
    """One completion.

    Attributes:
        id: The sample's.
        text: The completion, untouched.
        frame: The frame in which it speaks (a name or a mapping, see `resolve_frame`); None where
            the file leaves it open.
        draw: Number of the completion among those of the sample.
        tokens: How many tokens it has, where that is known.
        prompt_tokens: How many its question had, where a server counted them.
        finish: Why it ended, in a server's word, such as `stop` or `length`.
    """

    id: str
    text: str
    frame: str | Mapping[str, Any] | None = None
    draw: int = 0
    tokens: int | None = None
    prompt_tokens: int | None = None
    finish: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What no other prediction of a file shares."""
        return self.id, self.draw

    def to_line(self) -> str:
        """Its line in a predictions file, the line's end included."""
        record = {"id": self.id, "draw": self.draw, "text": self.text, "frame": self.frame}
        known = {"tokens": self.tokens, "prompt_tokens": self.prompt_tokens, "finish": self.finish}
        record |= {name: value for name, value in known.items() if value is not None}
        return json.dumps(record, ensure_ascii=False) + "\n"


def read_predictions(path: Path) -> list[Prediction]:
    """Read a predictions file.

    Further keys are allowed, so that a file may carry its own bookkeeping.

    Raises:
        UserError: the file is missing or unreadable, a line is not such an object, an id (and
            draw) comes twice, or there is no line at all; names the file and the line.
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
                f"{path}, line {number}: id {prediction.id}{numbered} already stands in line "
                f"{seen[prediction.key]}; keep one"
            )
        seen[prediction.key] = number
        predictions.append(prediction)
    if not predictions:
        raise UserError(f"{path}: holds no prediction")
    return predictions


def _prediction(line: str, where: str) -> Prediction:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict) or "id" not in record or "text" not in record:
        raise UserError(f'{where}: expected {{"id": ..., "text": ..., "frame": optional}}')
    if not isinstance(record["id"], str | int) or not isinstance(record["text"], str):
        raise UserError(f"{where}: id must be a text or a whole number, text must be a text")
    frame = record.get("frame")
    if not (frame is None or isinstance(frame, str | dict)):
        raise UserError(f"{where}: frame must be a name or an object with a name")
    draw, tokens = record.get("draw", 0), record.get("tokens")
    if type(draw) is not int or draw < 0 or not (tokens is None or type(tokens) is int):
        raise UserError(f"{where}: draw and tokens must be whole numbers, draw not below 0")
    asked, finish = record.get("prompt_tokens"), record.get("finish")
    if not (asked is None or type(asked) is int) or not (finish is None or isinstance(finish, str)):
        raise UserError(f"{where}: prompt_tokens must be a whole number, finish a text")
    return Prediction(str(record["id"]), record["text"], frame, draw, tokens, asked, finish)


@dataclass(frozen=True)
class Matched:
    """Predictions beside their samples, in the predictions' order.

    Attributes:
        samples: One for each prediction.
        predictions: As read.
        missing: How many samples of the data have no prediction.
    """

    samples: Sequence[Sample]
    predictions: Sequence[Prediction]
    missing: int


def match_predictions(
    predictions: Sequence[Prediction], samples: Iterable[Sample], where: str
) -> Matched:
    """Put each prediction beside its sample.

    Args:
        predictions: As read.
        samples: All samples that were asked; images are not needed.
        where: What to call the data in an error.

    Raises:
        UserError: a prediction whose id is not in the data.
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
            f"{len(unknown)} of {len(predictions)} predictions have an id that {where} does not "
            f"hold, such as {unknown[0]}; check --data and --split"
        )
    return Matched([found[p.id] for p in predictions], predictions, total - len(found))
