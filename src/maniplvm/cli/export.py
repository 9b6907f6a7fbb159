"""`maniplvm export`: a data set as tasks of another harness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from maniplvm.engines.lmms_eval import export_tasks

app = typer.Typer(help="Write data sets for other people's harnesses.", no_args_is_help=True)


@app.callback()
def export() -> None:
    """Write data sets for other people's harnesses."""


@app.command("lmms-eval")
def export_lmms_eval(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data set.")],
    out: Annotated[Path, typer.Option(help="The new task folder, for --include_path.")],
    splits: Annotated[str | None, typer.Option(help="Such as id_test,ood_tasks; all.")] = None,
    family: Annotated[
        str, typer.Option(help="How the model is asked and answers, such as qwen3_vl.")
    ] = "qwen2_5_vl",
    protocol: Annotated[str, typer.Option(help="What is measured.")] = "maniplvm",
    preset: Annotated[str, typer.Option(help="Of the reward: paper, weighted, dense.")] = "paper",
    min_pixels: Annotated[
        int | None, typer.Option(help="Smallest area that the model will see.")
    ] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Largest area.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Where a completion is cut.")] = 256,
) -> None:
    """Write a task folder for lmms-eval, which then asks our questions and prints our numbers."""
    chosen = None if splits is None else tuple(name.strip() for name in splits.split(","))
    written = export_tasks(
        data,
        out,
        splits=chosen,
        family=family,
        protocol=protocol,
        preset=preset,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        max_new_tokens=max_new_tokens,
    )
    console = Console()
    total = sum(written.tasks.values())
    console.print(f"wrote group {written.group} with {total:,} samples to {escape(str(out))}:")
    for name, count in written.tasks.items():
        console.print(f"  {name}: {count:,}", soft_wrap=True)
    if written.skipped:
        console.print(f"left out {written.skipped:,} that protocol {protocol} does not measure")
