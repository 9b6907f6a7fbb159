"""`maniplvm compare`: compare evaluations in tables with the paper's columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maniplvm.cli.output import check_output, write_output
from maniplvm.cli.page_tables import print_page
from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.evaluation.tables import WRITERS, ComparisonOptions, compare_runs, format_of


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished evaluations.")],
    out: Annotated[
        Path | None, typer.Option(help="Output file; the suffix sets the format.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help=f"Format of --out, or of the printed output: {', '.join(WRITERS)}."),
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="Names of the runs, separated by commas.")
    ] = None,
    reading: Annotated[
        str, typer.Option(help="How answers without a parsed value count: strict or published.")
    ] = "strict",
    split: Annotated[
        str | None, typer.Option(help="Only these splits, such as id_test,ood_tasks; default: all.")
    ] = None,
    in_domain: Annotated[
        str | None, typer.Option(help="Splits that are in domain, separated by commas.")
    ] = None,
    out_of_domain: Annotated[
        str | None,
        typer.Option(help="Splits that are out of domain. Other splits are shown separately."),
    ] = None,
    intervals: Annotated[bool, typer.Option(help="Show 95 % intervals.")] = False,
    against: Annotated[
        str | None, typer.Option(help="Also show paired differences to the run of this name.")
    ] = None,
    matrix: Annotated[
        str | None,
        typer.Option(help="Also show paired differences of all runs in this measure, such as iou."),
    ] = None,
    common: Annotated[bool, typer.Option(help="Use only samples that every run has.")] = False,
    published: Annotated[
        bool, typer.Option(help="Show published results as grey reference rows.")
    ] = True,
    stack: Annotated[
        bool, typer.Option(help="Write one table per group of columns to --out.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Compare evaluations in one table, with a row for each model.

    Runs must have the same protocol and common samples. Other differences are printed as warnings.
    """
    check_output(out)
    chosen = format_of(out, format)
    page = compare_runs(
        runs,
        ComparisonOptions(
            names=_listed(names),
            reading=reading,
            splits=_listed(split),
            in_domain=_listed(in_domain),
            out_of_domain=_listed(out_of_domain),
            common=common,
            published=published,
            against=against,
            matrix=matrix,
            seed=seed,
        ),
    )
    console = SafeConsole()
    if chosen is None or out is not None:
        print_page(console, page, intervals)
    if chosen is not None:
        text = WRITERS[chosen](page.stacked() if stack else page, intervals)
        if out is None:
            typer.echo(text, nl=False)
        else:
            write_output(out, text)
            console.print(f"wrote {out}", soft_wrap=True)


def _listed(names: str | None) -> tuple[str, ...] | None:
    """The names in a comma-separated list."""
    if names is None:
        return None
    listed = tuple(name.strip() for name in names.split(","))
    if not all(listed):
        raise UserError(f"{names!r}: a name is empty; separate names by single commas")
    return listed
