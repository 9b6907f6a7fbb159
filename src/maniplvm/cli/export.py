"""`maniplvm export`: a data set as tasks of an evaluation harness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maniplvm.console import SafeConsole
from maniplvm.engines.lmms_eval import export_tasks

app = typer.Typer(help="Export data sets to evaluation harnesses.", no_args_is_help=True)


@app.callback()
def export() -> None:
    """Export data sets to evaluation harnesses."""


@app.command("lmms-eval")
def export_lmms_eval(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of the data set.")],
    out: Annotated[Path, typer.Option(help="New task folder, for --include_path of lmms-eval.")],
    splits: Annotated[
        str | None, typer.Option(help="Splits, such as id_test,ood_tasks; default: all.")
    ] = None,
    family: Annotated[
        str, typer.Option(help="Model family (frame and prompt), such as qwen3_vl.")
    ] = "qwen2_5_vl",
    protocol: Annotated[str, typer.Option(help="Evaluation protocol.")] = "maniplvm",
    preset: Annotated[
        str, typer.Option(help="Reward preset: paper, weighted, dense, or a YAML file.")
    ] = "paper",
    min_pixels: Annotated[
        int | None, typer.Option(help="Smallest image area, in square pixels.")
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(help="Largest image area, in square pixels.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Maximum number of new tokens.")] = 256,
) -> None:
    """Write a task folder for lmms-eval with the prompts and metrics of this package."""
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
    console = SafeConsole()
    total = sum(written.tasks.values())
    console.print(f"wrote group {written.group} with {total:,} samples to {out}:")
    for name, count in written.tasks.items():
        console.print(f"  {name}: {count:,}", soft_wrap=True)
    if written.skipped:
        console.print(
            f"skipped {written.skipped:,} samples that protocol {protocol} does not measure"
        )
