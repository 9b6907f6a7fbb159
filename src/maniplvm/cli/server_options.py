"""A model behind a server, from what the command line says about it; and what it took."""

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
        UserError: no JSON object.
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
    """Both prices or none.

    Raises:
        UserError: only one, or one below 0.
    """
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise UserError("--price-in and --price-out belong together; give both")
    if price_in < 0 or price_out < 0:
        raise UserError("--price-in and --price-out must not be below 0")
    return Prices(price_in, price_out)


def refuse_served_options(given: Mapping[str, bool]) -> None:
    """Options that have no effect on a model on this machine.

    Args:
        given: By option, whether it was given.

    Raises:
        UserError: names those that were given.
    """
    _refuse(given, "a model behind a --server")


def refuse_local_options(
    *, adapter: Path | None, dtype: str, device: str, batch_size: int = BATCH_SIZE
) -> None:
    """Options that have no effect on a model behind a server.

    Raises:
        UserError: names those that were given.
    """
    given = {
        "--adapter": adapter is not None,
        "--dtype": dtype != "auto",
        "--device": device != "auto",
        "--batch-size": batch_size != BATCH_SIZE,
    }
    _refuse(given, "a model on this machine")


def _refuse(given: Mapping[str, bool], where: str) -> None:
    useless = [name for name, is_given in given.items() if is_given]
    if useless:
        raise UserError(f"{', '.join(useless)} would have no effect: only for {where}")


def announcement(predictor: ServerPredictor) -> str:
    """How a served model will be asked: a frame that nobody named must at least be seen."""
    return f"{predictor.name} at {predictor.server}: family {predictor.family}"


def usage_line(usage: Usage, prices: Prices | None) -> str:
    """Tokens, ends and cost on one line."""
    parts = [
        f"{usage.completions} completions: {usage.prompt_tokens:,} tokens asked, "
        f"{usage.completion_tokens:,} answered"
    ]
    if usage.uncounted:
        parts.append(f"{usage.uncounted} not counted by the server")
    odd = [f"{number} {end}" for end, number in usage.finish.items() if end != "stop"]
    if odd:
        parts.append("ended otherwise than by themselves: " + ", ".join(odd))
    if prices is not None:
        parts.append(f"cost {usage.cost(prices):.4f}")
    return "; ".join(parts)
