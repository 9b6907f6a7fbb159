"""Token usage of an evaluation, finish reasons and cost: `usage.json`."""

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
    """Prices of tokens, in any one currency.

    Attributes:
        prompt: Price of a million prompt tokens, images included.
        completion: Price of a million completion tokens.
    """

    prompt: float
    completion: float


@dataclass(frozen=True)
class Usage:
    """Tokens of all recorded completions; failed attempts are not included.

    Attributes:
        completions: Number of completions.
        uncounted: Completions for which the server reported no token count.
        prompt_tokens: Sum of the reported prompt tokens.
        completion_tokens: Sum of the reported completion tokens.
        finish: Completions by finish reason. `empty` is a completion without text, `unknown` one
            without a reason.
    """

    completions: int
    uncounted: int
    prompt_tokens: int
    completion_tokens: int
    finish: Mapping[str, int]

    def cost(self, prices: Prices) -> float:
        """The cost, in the currency of the prices."""
        prompts = self.prompt_tokens * prices.prompt
        return (prompts + self.completion_tokens * prices.completion) / _MILLION

    def to_json(self, model: str, prices: Prices | None) -> dict[str, Any]:
        """The content of `usage.json`.

        Args:
            model: The model's name on the server.
            prices: Adds the cost if given.
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
    """The usage of completions."""
    recorded = list(predictions)
    counted = [p for p in recorded if p.prompt_tokens is not None and p.tokens is not None]
    reasons = Counter(_finish(prediction) for prediction in recorded)
    return Usage(
        completions=len(recorded),
        uncounted=len(recorded) - len(counted),
        prompt_tokens=sum(p.prompt_tokens or 0 for p in counted),
        completion_tokens=sum(p.tokens or 0 for p in counted),
        finish=dict(sorted(reasons.items())),
    )


def record_usage(folder: Path, model: str, prices: Prices | None) -> Usage:
    """Sum the usage of an evaluation's completions, and write `usage.json` into its folder.

    Args:
        folder: The evaluation's folder.
        model: The model's name on the server.
        prices: Adds the cost if given.

    Raises:
        UserError: the folder has no predictions, or the file cannot be written.
    """
    usage = sum_usage(read_predictions(folder / "predictions.jsonl"))
    content = usage.to_json(model, prices)
    write_json(folder / USAGE_FILE, content)
    return usage


def _finish(prediction: Prediction) -> str:
    if not prediction.text.strip() and prediction.finish in (None, "stop"):
        return "empty"
    return prediction.finish or "unknown"
