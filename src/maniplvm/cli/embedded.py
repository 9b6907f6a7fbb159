"""`maniplvm embedded`: teach the tiny model that ships with the package, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maniplvm.errors import UserError


def embedded(
    data: Annotated[Path, typer.Option(help="Folder of a simulated data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the model comes to OUT/model.")],
    split: Annotated[str, typer.Option(help="What to learn from.")] = "train",
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.")] = 2600,
    batch: Annotated[int, typer.Option(help="Pictures a step.")] = 32,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
) -> None:
    """Teach the embedded model from scratch; run again to resume."""
    if steps < 1 or batch < 1:
        raise UserError(f"--steps and --batch must be at least 1, got {steps} and {batch}")
    from maniplvm.data import open_dataset
    from maniplvm.training.embedded import Lessons, Schooling, make_embedded

    lessons = Lessons(open_dataset(data).samples(split))
    settings = Schooling(steps=steps, batch=batch, seed=seed)
    console = Console(stderr=True)
    console.print(f"{len(lessons)} pictures, {len(lessons.wordings)} tasks, {steps} steps")
    with _bar(console) as bar:
        task = bar.add_task("steps", total=steps, losses="")

        def report(line: dict[str, float]) -> None:
            said = " ".join(f"{name} {line[name]:.3f}" for name in ("box", "trace", "text"))
            bar.update(task, completed=line["step"], losses=said)

        made = make_embedded(lessons, settings, out, report)
    console.print(f"the model is in {made}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
        disable=not console.is_terminal,
    )
