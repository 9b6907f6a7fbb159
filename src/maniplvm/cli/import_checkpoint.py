"""`maniplvm import-checkpoint`: a checkpoint of a training engine as a plain model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maniplvm.console import SafeConsole


def import_checkpoint(
    source: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of a verl run, or of one of its checkpoints."),
    ],
    out: Annotated[Path, typer.Option(help="New folder of the model.")],
    family: Annotated[
        str | None, typer.Option(help="Model family of the recipe, if it names one.")
    ] = None,
    min_pixels: Annotated[
        int | None, typer.Option(help="Smallest image area of the recipe, in square pixels.")
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(help="Largest image area of the recipe, in square pixels.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="bfloat16, float16 or float32; default: as trained."),
    ] = None,
) -> None:
    """Convert a checkpoint of verl (FSDP) into a model that transformers can load."""
    from maniplvm.engines.verl import checkpoint

    written = checkpoint.import_checkpoint(
        source,
        out,
        family=family,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        dtype=dtype,
    )
    merged = f", adapters merged into {written.adapters}" if written.adapters else ""
    SafeConsole(stderr=True).print(
        f"{written.weights} weights of {written.ranks} ranks from {written.source}{merged}; "
        f"model written to {written.folder}",
        soft_wrap=True,
    )
