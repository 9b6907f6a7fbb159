"""`maniplvm blend`: a trained model, pulled back a little towards where it started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def blend(
    start: Annotated[str, typer.Argument(help="Where training started.")],
    trained: Annotated[str, typer.Argument(help="The folder of what came of it.")],
    out: Annotated[Path, typer.Option(help="Folder of the blend.")],
    share: Annotated[float, typer.Option(help="Of the trained weights, 0..1.")] = 0.75,
) -> None:
    """Average the weights of a trained model with its start's: learned much, forgot little."""
    from maniplvm.models import blend as blend_checkpoints

    made = blend_checkpoints(start, trained, share, out)
    Console(stderr=True).print(f"the model is in {made}", soft_wrap=True)
