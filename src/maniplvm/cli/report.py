"""`maniplvm report`: one HTML page that compares a model with its start and with controls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maniplvm.cli.output import check_output, write_output
from maniplvm.console import SafeConsole


def report(
    after: Annotated[Path, typer.Option(help="Evaluation folder of the trained model.")],
    data: Annotated[Path, typer.Option(help="Folder of the evaluated data set, for its images.")],
    out: Annotated[Path, typer.Option(help="Output HTML file.")],
    before: Annotated[
        Path | None, typer.Option(help="Evaluation folder of the model before training.")
    ] = None,
    control: Annotated[
        list[Path] | None,
        typer.Option(help="Evaluation folder of another model to compare with; repeatable."),
    ] = None,
    sampled_before: Annotated[
        Path | None, typer.Option(help="Same as --before, with sampled answers.")
    ] = None,
    sampled_after: Annotated[
        Path | None, typer.Option(help="Same as --after, with sampled answers.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Run folder, for learning curves and recipe; repeatable."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the random choice of shown samples.")
    ] = 0,
) -> None:
    """Write an HTML page with results, learning curves, galleries and recipe."""
    from maniplvm.evaluation.report import Sources, build_report

    check_output(out)
    console = SafeConsole()
    sources = Sources(
        after=after,
        data=data,
        before=before,
        controls=control or [],
        sampled_before=sampled_before,
        sampled_after=sampled_after,
        runs=run or [],
    )
    with console.status("writing the report"):
        html = build_report(sources, command=["maniplvm", *sys.argv[1:]], seed=seed)
    write_output(out, html)
    size = len(html.encode()) / 1e6
    console.print(f"wrote {out} ({size:.1f} MB); open it in a browser", soft_wrap=True)
