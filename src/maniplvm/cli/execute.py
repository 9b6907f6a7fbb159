"""`maniplvm execute`: execute predicted traces in simulation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from maniplvm.cli.output import check_output, write_output
from maniplvm.cli.progress import progress_bar
from maniplvm.cli.ray_option import Ray
from maniplvm.cluster import ray_address
from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.evaluation import (
    MatchedPredictions,
    Prediction,
    bootstrap_mean,
    execute_answers,
    match_predictions,
    read_predictions,
)
from maniplvm.tasks import Sample, Task

if TYPE_CHECKING:
    from maniplvm.simulation.execution import Execution


def execute(
    data: Annotated[Path, typer.Option(help="Folder of the simulated data set.")],
    predictions: Annotated[Path, typer.Option(help='JSONL file of {"id", "text", "frame"?}.')],
    split: Annotated[str | None, typer.Option(help="Only this split; default: all.")] = None,
    frame: Annotated[
        str | None, typer.Option(help="Coordinate frame of the answers; default: original pixels.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Number of worker processes, on each node.")] = 2,
    ray: Ray = None,
    timeout: Annotated[float, typer.Option(help="Time limit of one execution, in seconds.")] = 20.0,
    out: Annotated[
        Path | None, typer.Option(help="Output JSONL file with the result of every sample.")
    ] = None,
) -> None:
    """Execute predicted traces in simulation and report the success rate.

    The path comes from the prediction. Depth and gripper commands come from the reference. An
    invalid prediction counts as a failure.
    """
    from maniplvm.data import open_dataset
    from maniplvm.simulation.worlds import require_mujoco

    check_output(out)
    require_mujoco()
    matched = match_predictions(
        read_predictions(predictions), open_dataset(data).samples(split, images=False), str(data)
    )
    samples, traces = _traces(matched, data)
    framed = [replace(prediction, frame=prediction.frame or frame) for prediction in traces]
    console = SafeConsole()
    with progress_bar() as bar:
        done = bar.add_task("executions", total=len(framed))
        outcome_of = {
            prediction.key: execution
            for prediction, execution in execute_answers(
                framed,
                samples,
                workers,
                timeout,
                lambda count: bar.advance(done, count),
                ray_address(ray),
            )
        }
    executions = [outcome_of[prediction.key] for prediction in framed]
    if out is not None:
        lines = [
            json.dumps(_record(sample, execution)) + "\n"
            for sample, execution in zip(samples, executions, strict=True)
        ]
        write_output(out, "".join(lines))
    console.print(_summary(samples, executions))
    skipped = len(matched.samples) - len(samples)
    if skipped:
        console.print(f"{skipped} predictions answer affordance samples and are not executed")


def _traces(matched: MatchedPredictions, data: Path) -> tuple[list[Sample], list[Prediction]]:
    pairs = [
        (sample, prediction)
        for sample, prediction in zip(matched.samples, matched.predictions, strict=True)
        if sample.task is Task.TRAJECTORY
    ]
    if not pairs:
        raise UserError(f"{data}: no prediction answers a trajectory sample; nothing to execute")
    return [sample for sample, _ in pairs], [prediction for _, prediction in pairs]


def _record(sample: Sample, execution: Execution) -> dict[str, object]:
    return {
        "id": sample.id,
        "category": sample.category,
        "split": sample.split,
        "success": execution.success,
        "reason": str(execution.reason),
        "steps": execution.steps,
        "detail": execution.detail,
    }


def _summary(samples: Sequence[Sample], executions: Sequence[Execution]) -> Table:
    by_task: dict[str, list[Execution]] = {}
    for sample, execution in zip(samples, executions, strict=True):
        by_task.setdefault(sample.category or "-", []).append(execution)
    from maniplvm.simulation.execution import UNRELIABLE_TASKS

    table = Table(title=f"execution · n = {len(executions)}")
    table.add_column("task")
    for heading in ("n", "success", "95 % interval"):
        table.add_column(heading, justify="right")
    table.add_column("failures")
    for name in sorted(by_task):
        suffix = " *" if name in UNRELIABLE_TASKS else ""
        table.add_row(name + suffix, *_cells(by_task[name]))
    table.add_section()
    reliable = [each for name in by_task if name not in UNRELIABLE_TASKS for each in by_task[name]]
    table.add_row("all", *_cells(executions))
    if 0 < len(reliable) < len(executions):
        table.add_row("without *", *_cells(reliable))
        table.caption = "* reference traces often fail in this task"
    return table


def _cells(executions: Sequence[Execution]) -> tuple[str, ...]:
    rate = bootstrap_mean([execution.success for execution in executions])
    failures = Counter(str(each.reason) for each in executions if not each.success)
    return (
        str(rate.count),
        f"{rate.mean:.3f}",
        f"{rate.low:.3f} to {rate.high:.3f}",
        ", ".join(f"{count} {reason}" for reason, count in failures.most_common()),
    )
