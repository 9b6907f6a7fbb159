"""`maniplvm experiment`: a grid of runs, made, continued, listed and written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from maniplvm.experiments.grids.costs import RunStatus, forecast
from maniplvm.experiments.grids.grid import read_grid
from maniplvm.experiments.grids.kept_results import check_results
from maniplvm.experiments.grids.results import write_evidence
from maniplvm.experiments.grids.runner import default_jobs, run_grid
from maniplvm.experiments.grids.stages import runs_of


def experiment(
    file: Annotated[Path, typer.Argument(help="A YAML file; see docs/experiments.md.")],
    listed: Annotated[
        bool, typer.Option("--list", help="Show what is done, what is left and what it will take.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; two where there are two cores.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="This arm or tier, and what it needs; may be given several times."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Runs of this seed alone; may be given several times."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of all runs; default: runs/ and the grid's name.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of the figures.")] = Path(
        "results/evidence"
    ),
) -> None:
    """Make every run of a grid and write down what it shows. Run it again to go on."""
    grid = read_grid(file)
    work = Path("runs") / grid.name if out is None else out
    at_once = default_jobs() if jobs is None else jobs
    runs = runs_of(grid, work, only or (), seed or ())
    console = Console()
    if listed:
        console.print(_table(forecast(grid, work, runs), at_once, grid.name))
        return
    check_results(grid, results)
    try:
        run_grid(grid, work, runs, at_once, lambda text: console.print(text, highlight=False))
    finally:
        for path, kept in write_evidence(grid, work, results).items():
            there = f"; kept of earlier runs: {', '.join(kept)}" if kept else ""
            console.print(f"written: {path}{there}", highlight=False)


def _table(statuses: list[RunStatus], jobs: int, name: str) -> Table:
    left = sum(status.left for status in statuses)
    done = sum(status.state == "done" for status in statuses)
    title = f"{name}: {done} of {len(statuses)} runs done; {_minutes(left / jobs)} min left"
    table = Table(title=f"{title} with {jobs} at a time")
    table.add_column("run")
    table.add_column("state")
    for heading in ("stages", "spent, min", "left, min"):
        table.add_column(heading, justify="right")
    table.add_column("waits for")
    for status in statuses:
        table.add_row(
            status.run.name,
            status.state,
            f"{status.done}/{status.stages}",
            _minutes(status.spent) if status.spent else "",
            _minutes(status.left) if status.left else "",
            ", ".join(status.waits_for),
        )
    return table


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
