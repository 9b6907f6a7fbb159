"""Command-line options of a model on a server, and the summary of its usage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.local import BATCH_SIZE
from maniplvm.evaluation.predictors.server import Prices, ServerPredictor, Usage


def read_extra(text: str | None) -> dict[str, Any]:
    """The fields of `--extra`.

    Raises:
        UserError: the text is not a JSON object.
    """
    if text is None:
        return {}
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise UserError(f"--extra: not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise UserError("--extra: expected a JSON object, such as '{\"top_k\": 20}'")
    return fields


def read_prices(price_in: float | None, price_out: float | None) -> Prices | None:
    """The prices, or None if none is given.

    Raises:
        UserError: only one is given, or one is below 0.
    """
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise UserError("--price-in and --price-out belong together; give both")
    if price_in < 0 or price_out < 0:
        raise UserError("--price-in and --price-out must not be below 0")
    return Prices(price_in, price_out)


def refuse_served_options(given: Mapping[str, bool]) -> None:
    """Refuse options that have no effect on a local model.

    Args:
        given: Whether each option was given.

    Raises:
        UserError: an option was given.
    """
    _refuse(given, "a model on a --server")


def refuse_local_options(
    *, adapter: Path | None, dtype: str, device: str, batch_size: int = BATCH_SIZE
) -> None:
    """Refuse options that have no effect on a model on a server.

    Raises:
        UserError: an option was given.
    """
    given = {
        "--adapter": adapter is not None,
        "--dtype": dtype != "auto",
        "--device": device != "auto",
        "--batch-size": batch_size != BATCH_SIZE,
    }
    _refuse(given, "a model on this machine")


def _refuse(given: Mapping[str, bool], where: str) -> None:
    unused = [name for name, is_given in given.items() if is_given]
    if unused:
        raise UserError(f"{', '.join(unused)} would have no effect: only for {where}")


def announcement(predictor: ServerPredictor) -> str:
    """The model, its server and its family; shown because the family may be detected."""
    return f"{predictor.name} at {predictor.server}: family {predictor.family}"


def usage_line(usage: Usage, prices: Prices | None) -> str:
    """Tokens, finish reasons and cost on one line."""
    parts = [
        f"{usage.completions} completions: {usage.prompt_tokens:,} prompt tokens, "
        f"{usage.completion_tokens:,} completion tokens"
    ]
    if usage.uncounted:
        parts.append(f"{usage.uncounted} without token counts from the server")
    other = [f"{count} {reason}" for reason, count in usage.finish.items() if reason != "stop"]
    if other:
        parts.append("finish reasons other than stop: " + ", ".join(other))
    if prices is not None:
        parts.append(f"cost {usage.cost(prices):.4f}")
    return "; ".join(parts)
