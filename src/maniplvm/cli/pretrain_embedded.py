"""`maniplvm pretrain-embedded`: pretrain the small model that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maniplvm.console import SafeConsole
from maniplvm.errors import UserError


def pretrain_embedded(
    data: Annotated[Path, typer.Option(help="Folder of a simulated data set.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the model is in OUT/model.")],
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    steps: Annotated[int, typer.Option(help="Number of optimizer steps.")] = 10000,
    cycles: Annotated[int, typer.Option(min=1, help="Number of cycles of the learning rate.")] = 2,
    batch: Annotated[int, typer.Option(help="Images per step.")] = 32,
    processes: Annotated[
        int, typer.Option(min=1, help="Number of processes that share each batch.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0,
) -> None:
    """Pretrain the embedded model from scratch. The same command resumes it."""
    if steps < 1 or batch < 1:
        raise UserError(f"--steps and --batch must be at least 1, got {steps} and {batch}")
    if steps % cycles:
        raise UserError(f"--steps {steps} cannot be divided into {cycles} equal --cycles")
    from maniplvm.embedded.pretraining import PretrainingConfig, build_checkpoint

    config = PretrainingConfig(steps=steps, cycles=cycles, batch=batch, seed=seed)
    folder = build_checkpoint(data, split, config, out, _report, processes=processes)
    SafeConsole(stderr=True).print(f"model written to {folder}")


def _report(line: dict[str, float]) -> None:
    losses = " · ".join(f"{name} {line[name]:.3f}" for name in ("box", "trace", "text"))
    SafeConsole(stderr=True).print(f"step {line['step']} · {line['seconds']:.0f} s · {losses}")
