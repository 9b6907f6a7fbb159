"""`maniplvm score` and `maniplvm score-text`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

import maniplvm
from maniplvm.cli.output import check_output, write_output
from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.evaluation import TaskSummary, match_predictions, read_predictions, summarise
from maniplvm.rewards import Score, resolve_preset, score_batch
from maniplvm.tasks import BoxTarget, RegionTarget, Sample, Target, Task, TraceTarget

PresetOption = Annotated[
    str, typer.Option(help="Reward preset: paper, weighted, dense, or a YAML file.")
]
FrameOption = Annotated[
    str | None,
    typer.Option(help="Frame of the answers, such as qwen2_5_vl; default: original pixels."),
]


def score_predictions(
    predictions: Annotated[Path, typer.Argument(help='JSONL file of {"id", "text", "frame"?}.')],
    data: Annotated[Path, typer.Option(help="Folder of the data set.")],
    split: Annotated[str | None, typer.Option(help="Only this split; default: all.")] = None,
    preset: PresetOption = "paper",
    frame: FrameOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Output JSONL file with the scores of every sample.")
    ] = None,
    summary: Annotated[Path | None, typer.Option(help="Output JSON file with the summary.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Output image with predictions, targets and scores.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of samples in --sheet.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Score a file of predictions against a data set."""
    from maniplvm.data import open_dataset

    check_output(out, summary, sheet)
    rewards = resolve_preset(preset)
    dataset = open_dataset(data)
    matched = match_predictions(
        read_predictions(predictions), dataset.samples(split, images=False), str(data)
    )
    frames = [prediction.frame or frame for prediction in matched.predictions]
    texts = [prediction.text for prediction in matched.predictions]
    try:
        scores = score_batch(texts, matched.samples, rewards, frames)
    except ValueError as error:
        raise UserError(f"{predictions}: {error}") from error
    summaries = summarise(scores, seed=seed)
    if out:
        _write_lines(out, matched.samples, scores)
    if summary:
        report = {
            "command": ["maniplvm", *sys.argv[1:]],
            "versions": {"maniplvm": maniplvm.__version__, "numpy": np.__version__},
            "preset": rewards.name,
            "seed": seed,
            "samples": len(scores),
            "missing": matched.missing,
            "tasks": {s.task.value: asdict(s) for s in summaries},
        }
        write_output(summary, json.dumps(report, indent=2) + "\n")
    _print_summary(summaries, rewards.name, matched.missing)
    if sheet:
        shown = scores[:count]
        ids = [sample.id for sample in matched.samples[:count]]
        _draw_sheet(sheet, [dataset.sample(sample_id) for sample_id in ids], shown)


def score_text(
    text: Annotated[str, typer.Argument(help="Completion; - reads standard input.")],
    task: Annotated[Task, typer.Option(help="Task of the completion.")],
    target: Annotated[
        str,
        typer.Option(help=r"Target in original pixels: '\[x1, y1, x2, y2]' or '\[\[x, y], ...]'."),
    ],
    size: Annotated[str, typer.Option(help="Size of the original image: WIDTHxHEIGHT.")],
    preset: PresetOption = "paper",
    frame: FrameOption = None,
) -> None:
    """Score one completion against one target."""
    sample = _sample(task, target, size)
    completion = sys.stdin.read() if text == "-" else text
    try:
        (result,) = score_batch([completion], [sample], resolve_preset(preset), frame)
    except ValueError as error:
        raise UserError(str(error)) from error
    table = Table(title=f"{task} · {preset}", show_header=False)
    for name, value in result.terms.items():
        table.add_row(name, f"{value:.4f}")
    table.add_section()
    table.add_row("total", Text(f"{result.total:.4f}", style="bold"))
    table.add_row("status", str(result.status))
    if result.answer.guesses:
        table.add_row("guesses", ", ".join(result.answer.guesses))
    table.add_row("format", str(result.answer.format_status))
    value = result.answer.value
    table.add_row("pixels", "-" if value is None else json.dumps(value.round(2).tolist()))
    SafeConsole().print(table)


def _sample(task: Task, target: str, size: str) -> Sample:
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UserError(f"--size {size}: expected WIDTHxHEIGHT, such as 640x480")
    try:
        numbers: Any = json.loads(target)
        return Sample("text", task, "-", (int(width), int(height)), _shape(task, numbers))
    except ValueError as error:
        raise UserError(f"--target or --size: {error}") from error


def _shape(task: Task, numbers: Any) -> Target:
    """A box, a trace, or for pointing a box or a polygon."""
    if task is Task.AFFORDANCE:
        return BoxTarget(numbers)
    if task is Task.TRAJECTORY:
        return TraceTarget(numbers)
    return RegionTarget.of_boxes([numbers]) if np.ndim(numbers) == 1 else RegionTarget([numbers])


def _write_lines(path: Path, samples: Sequence[Sample], scores: Sequence[Score]) -> None:
    lines = [json.dumps(_record(s, score)) + "\n" for s, score in zip(samples, scores, strict=True)]
    write_output(path, "".join(lines))


def _draw_sheet(path: Path, samples: Sequence[Sample], scores: Sequence[Score]) -> None:
    from maniplvm.data import Annotation, contact_sheet, save_image

    annotations = list[Annotation]()
    for score in scores:
        terms = ", ".join(f"{name} {value:.2f}" for name, value in score.terms.items())
        read = terms if score.answer.parsed else f"could not be parsed: {score.status}"
        annotations.append(Annotation(score.answer.value, f"total {score.total:.2f}: {read}"))
    save_image(contact_sheet(samples, annotations=annotations), path)
    SafeConsole().print(f"drew {len(samples)} scored samples on {path}")


def _record(sample: Sample, score: Score) -> Mapping[str, Any]:
    answer = score.answer
    return {
        "id": sample.id,
        "task": sample.task.value,
        "split": sample.split,
        "category": sample.category,
        "total": score.total,
        "terms": score.terms,
        "status": answer.status.value,
        "guesses": [guess.value for guess in answer.guesses],
        "format_status": answer.format_status.value,
        "value_px": None if answer.value is None else answer.value.tolist(),
        "reasoning": answer.reasoning,
    }


def _print_summary(summaries: Sequence[TaskSummary], preset: str, missing: int) -> None:
    console = SafeConsole()
    for summary in summaries:
        table = Table(title=f"{summary.task} · preset {preset} · n = {summary.total.count}")
        table.add_column("")
        table.add_column("mean", justify="right")
        table.add_column("95 % interval", justify="right")
        rows = {
            "total": summary.total,
            **summary.terms,
            "parsed": summary.parse_rate,
            "well formed": summary.format_rate,
        }
        for name, interval in rows.items():
            table.add_row(
                name, f"{interval.mean:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"
            )
        console.print(table)
        if summary.failures:
            reasons = ", ".join(f"{count} {name}" for name, count in summary.failures.items())
            console.print(f"could not be parsed: {reasons}; each counts as 0 above")
        if summary.guesses:
            reasons = ", ".join(f"{count} {name}" for name, count in summary.guesses.items())
            console.print(f"parsed with a guess: {reasons}")
    if missing:
        console.print(f"{missing} samples of the data set have no prediction and are not counted")
