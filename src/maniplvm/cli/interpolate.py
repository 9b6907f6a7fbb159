"""`maniplvm interpolate`: interpolate the weights of a trained model and its starting model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maniplvm.console import SafeConsole


def interpolate(
    start: Annotated[str, typer.Argument(help="Model where training started.")],
    trained: Annotated[str, typer.Argument(help="Folder of the trained model.")],
    out: Annotated[Path, typer.Option(help="Folder of the interpolated model.")],
    alpha: Annotated[float, typer.Option(help="Weight of the trained model, 0..1.")] = 0.75,
) -> None:
    """Interpolate the weights of a trained model and of its starting model (WiSE-FT)."""
    from maniplvm.models import interpolate_weights

    folder = interpolate_weights(start, trained, out, alpha=alpha)
    SafeConsole(stderr=True).print(f"model written to {folder}", soft_wrap=True)


def interpolate_by_share(
    start: Annotated[str, typer.Argument(help="Model where training started.")],
    trained: Annotated[str, typer.Argument(help="Folder of the trained model.")],
    out: Annotated[Path, typer.Option(help="Folder of the interpolated model.")],
    share: Annotated[float, typer.Option(help="Weight of the trained model, 0..1.")] = 0.75,
) -> None:
    """Run `interpolate` with the option names of earlier versions."""
    interpolate(start, trained, out, share)
