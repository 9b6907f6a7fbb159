"""What an evaluation took: tokens, how completions ended, and what that cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.evaluation.predictors.predictions import Prediction, read_predictions
from maniplvm.files import write_json

USAGE_FILE = "usage.json"
_FORMAT = "maniplvm.usage/1"
_MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """What tokens cost, in any one currency.

    Attributes:
        prompt: A million tokens of questions, images included.
        completion: A million tokens of answers.
    """

    prompt: float
    completion: float


@dataclass(frozen=True)
class Usage:
    """Tokens of all recorded completions; attempts that failed are not known to us.

    Attributes:
        completions: How many.
        uncounted: Of those, how many the server did not count.
        prompt_tokens: Sum over the counted.
        completion_tokens: Sum over the counted.
        finish: How many ended in which way: the server's word, `empty` for an answer without
            text, `unknown` where it did not say.
    """

    completions: int
    uncounted: int
    prompt_tokens: int
    completion_tokens: int
    finish: Mapping[str, int]

    def cost(self, prices: Prices) -> float:
        """In the prices' currency."""
        asked = self.prompt_tokens * prices.prompt
        return (asked + self.completion_tokens * prices.completion) / _MILLION

    def to_json(self, model: str, prices: Prices | None) -> dict[str, Any]:
        """The content of `usage.json`.

        Args:
            model: What the server calls it.
            prices: Adds what it cost.
        """
        costs = (
            {}
            if prices is None
            else {
                "price_in": prices.prompt,
                "price_out": prices.completion,
                "cost": self.cost(prices),
            }
        )
        return {
            "format": _FORMAT,
            "model": model,
            "completions": self.completions,
            "uncounted": self.uncounted,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "finish": dict(self.finish),
            **costs,
        }


def sum_usage(predictions: Iterable[Prediction]) -> Usage:
    """The tokens of completions, whenever they were made."""
    said = list(predictions)
    counted = [p for p in said if p.prompt_tokens is not None and p.tokens is not None]
    ends = Counter(_end(prediction) for prediction in said)
    return Usage(
        completions=len(said),
        uncounted=len(said) - len(counted),
        prompt_tokens=sum(p.prompt_tokens or 0 for p in counted),
        completion_tokens=sum(p.tokens or 0 for p in counted),
        finish=dict(sorted(ends.items())),
    )


def record_usage(folder: Path, model: str, prices: Prices | None) -> Usage:
    """Sum what an evaluation's completions took, and write `usage.json` beside them.

    Args:
        folder: The evaluation's.
        model: What the server calls it.
        prices: Adds what it cost.

    Raises:
        UserError: no predictions there, or the file cannot be written.
    """
    usage = sum_usage(read_predictions(folder / "predictions.jsonl"))
    content = usage.to_json(model, prices)
    write_json(folder / USAGE_FILE, content)
    return usage


def _end(prediction: Prediction) -> str:
    if not prediction.text.strip() and prediction.finish in (None, "stop"):
        return "empty"
    return prediction.finish or "unknown"
