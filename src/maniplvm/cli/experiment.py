"""`maniplvm experiment`: run a grid of experiments, list its progress, and write the results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from maniplvm.cli.deprecated import warn_deprecated
from maniplvm.cli.ray_option import Ray
from maniplvm.cluster import ray_address
from maniplvm.console import SafeConsole
from maniplvm.experiments.grids.costs import RunStatus, forecast
from maniplvm.experiments.grids.grid_file import read_grid
from maniplvm.experiments.grids.kept_results import check_results
from maniplvm.experiments.grids.results import write_evidence
from maniplvm.experiments.grids.runner import default_jobs, run_grid
from maniplvm.experiments.grids.runs import runs_of


def experiment(
    file: Annotated[
        Path, typer.Argument(help="Grid of runs as a YAML file; see docs/experiments.md.")
    ],
    listed: Annotated[
        bool,
        typer.Option(
            "--list", help="List finished and missing runs with the expected time, and run nothing."
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of parallel runs; default: two on at least two cores."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Arm or tier to run, with the arms that it needs; repeatable."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Seed of the trainings to run; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of all runs; default: runs/ and the name of the grid."),
    ] = None,
    ray: Ray = None,
    results: Annotated[Path, typer.Option(help="Folder of the results files.")] = Path(
        "results/evidence"
    ),
) -> None:
    """Run a grid of trainings and evaluations, and write the results. The same command resumes it."""
    grid = read_grid(file, warn_deprecated)
    work = Path("runs") / grid.name if out is None else out
    parallel = default_jobs() if jobs is None else jobs
    runs = runs_of(grid, work, only or (), seed or ())
    console = SafeConsole()
    if listed:
        console.print(_table(forecast(grid, work, runs), parallel, grid.name))
        return
    check_results(grid, results)
    try:
        run_grid(
            grid,
            work,
            runs,
            parallel,
            lambda text: console.print(text, highlight=False),
            ray_address(ray),
        )
    finally:
        for path, kept in write_evidence(grid, work, results).items():
            earlier = f"; kept from earlier runs: {', '.join(kept)}" if kept else ""
            console.print(f"written: {path}{earlier}", highlight=False)


def _table(statuses: list[RunStatus], jobs: int, name: str) -> Table:
    remaining = sum(status.remaining for status in statuses)
    finished = sum(status.state == "finished" for status in statuses)
    title = f"{name}: {finished} of {len(statuses)} runs finished, {_minutes(remaining / jobs)} min remaining"
    table = Table(title=f"{title} with {jobs} in parallel")
    table.add_column("run")
    table.add_column("state")
    for heading in ("stages", "spent, min", "remaining, min"):
        table.add_column(heading, justify="right")
    table.add_column("waits for")
    for status in statuses:
        table.add_row(
            status.run.name,
            status.state,
            f"{status.done}/{status.stages}",
            _minutes(status.spent) if status.spent else "",
            _minutes(status.remaining) if status.remaining else "",
            ", ".join(status.waits_for),
        )
    return table


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
