"""`maniplvm quickstart`: evaluate, train and evaluate again on a laptop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.evaluation.statistics.comparison import LOWER_IS_BETTER, Difference
from maniplvm.experiments.quickstart import (
    DATA,
    GRPO_RECIPE,
    SFT_RECIPE,
    Folders,
    headline_results,
    quickstart_stages,
    results_to_json,
)
from maniplvm.experiments.stages import Stage, run_stages
from maniplvm.files import locked, write_json
from maniplvm.training.loop.run_folder import read_record

RESULTS = "quickstart.json"
_HEADINGS = {
    "iou": "box: IoU",
    "trace_reward": "trace: reward (0 to 4)",
    "dfd_diagonal": "trace: DFD / diagonal",
    "execution": "trace: task success",
}


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder of the quickstart.")] = Path("runs/quickstart"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of training and sampling.")] = 0,
    model: Annotated[str, typer.Option(help="Model to start from.")] = "embedded",
    data: Annotated[str, typer.Option(help="Data set with the splits of the shipped one.")] = DATA,
    recipe: Annotated[str, typer.Option(help="GRPO recipe.")] = GRPO_RECIPE,
    control: Annotated[
        bool, typer.Option(help="Also train with SFT for the same time, and compare.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting of the recipe: key.path=value; repeatable."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of samples per split and task.")
    ] = None,
) -> None:
    """Evaluate the shipped model, train it on new tasks with GRPO, and evaluate it again.

    Run the same command again to resume an interrupted run.
    """
    for needed in (data, recipe, SFT_RECIPE):
        if not Path(needed).exists():
            raise UserError(f"{needed}: not found; run this in a clone of the repository")
    console = SafeConsole()

    def announce(stage: Stage) -> None:
        console.rule(stage.purpose, align="left")
        console.print(f"$ {stage.command}", highlight=False, soft_wrap=True)

    def run(minutes: float | None) -> None:
        stages = quickstart_stages(
            out,
            seed=seed,
            model=model,
            data=data,
            recipe=recipe,
            control=SFT_RECIPE if minutes is not None else None,
            control_minutes=minutes,
            settings=tuple(changes or ()),
            limit=limit,
        )
        run_stages(stages, out, announce)

    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        run(None)
        if control:
            run(_minutes_of(Folders(out).run("grpo")))
        results = headline_results(out)
        write_json(out / RESULTS, results_to_json(results))
    console.print(_table(results, "trained with GRPO"))
    if control:
        console.print(_table(headline_results(out, "control"), "trained with SFT (control)"))
    console.print(f"report: {Folders(out).report}")


def _minutes_of(run: Path) -> float:
    """Training time of a finished run [min]."""
    return read_record(run)["wall_seconds"] / 60


def _table(results: dict[str, dict[str, Difference]], title: str) -> Table:
    table = Table(title=f"{title}: paired by sample, 95 % intervals over scenes")
    table.add_column("")
    for heading in ("before", "after", "difference", "95 % interval", ""):
        table.add_column(heading, justify="right")
    for split, measures in results.items():
        table.add_section()
        table.add_row(Text(split, style="bold"))
        for name, own in measures.items():
            change = own.difference
            better = (change.mean < 0) == (name in LOWER_IS_BETTER)
            mark = "" if not own.is_clear else "better" if better else "worse"
            table.add_row(
                _HEADINGS[name],
                f"{own.before:.3f}",
                f"{own.after:.3f}",
                f"{change.mean:+.3f}",
                f"{change.low:+.3f} to {change.high:+.3f}",
                mark,
            )
    return table
