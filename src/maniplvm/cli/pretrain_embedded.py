"""`maniplvm embedded`: teach the tiny model that ships with the package, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from maniplvm.errors import UserError


def embedded(
    data: Annotated[Path, typer.Option(help="Folder of a simulated data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the model comes to OUT/model.")],
    split: Annotated[str, typer.Option(help="What to learn from.")] = "train",
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.")] = 10000,
    cycles: Annotated[
        int, typer.Option(min=1, help="How often the learning rate rises and falls in them.")
    ] = 2,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    processes: Annotated[int, typer.Option(min=1, help="That share every batch.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
) -> None:
    """Teach the embedded model from scratch; run again to resume."""
    if steps < 1 or batch < 1:
        raise UserError(f"--steps and --batch must be at least 1, got {steps} and {batch}")
    if steps % cycles:
        raise UserError(f"--steps {steps} cannot be cut into {cycles} equal --cycles")
    from maniplvm.embedded.pretraining import Schooling, make_embedded

    settings = Schooling(steps=steps, cycles=cycles, batch=batch, seed=seed)
    made = make_embedded(data, split, settings, out, _report, processes=processes)
    Console(stderr=True).print(f"the model is in {made}")


def _report(line: dict[str, float]) -> None:
    losses = " · ".join(f"{name} {line[name]:.3f}" for name in ("box", "trace", "text"))
    Console(stderr=True).print(f"step {line['step']} · {line['seconds']:.0f} s · {losses}")
