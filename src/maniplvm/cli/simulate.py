"""`maniplvm simulate`: a data set out of physics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.text import Text

from maniplvm.cli.progress import progress_bar
from maniplvm.errors import UserError


def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the new data set.")],
    world: Annotated[
        str, typer.Option(help="metaworld, robosuite or all: splits of that world.")
    ] = "metaworld",
    splits: Annotated[
        str, typer.Option(help="Splits, separated by commas, or all that the world has.")
    ] = "all",
    tasks: Annotated[str, typer.Option(help="Tasks, separated by commas, or all.")] = "all",
    per_task: Annotated[
        list[str] | None,
        typer.Option(
            help="Initial states for each task: 20, or train=20 for one split; repeatable."
        ),
    ] = None,
    views: Annotated[int, typer.Option(help="Images of each initial state.")] = 2,
    size: Annotated[int, typer.Option(help="Side of the images [px].")] = 192,
    seed: Annotated[int, typer.Option(help="Another seed gives other scenes.")] = 0,
    plain: Annotated[
        str,
        typer.Option(
            help="Kinds of variety to switch off, separated by commas: camera, field_of_view, "
            "light, colours, textures, distractors or all."
        ),
    ] = "",
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    shard: Annotated[str, typer.Option(help="i/n: make only every n-th job.")] = "1/1",
    name: Annotated[str, typer.Option(help="Name of the data set.")] = "simulated manipulation",
) -> None:
    """Make affordance boxes and traces out of simulated demonstrations; run again to resume."""
    from maniplvm.simulation.engine import require_mujoco

    require_mujoco()
    from maniplvm.simulation.generation.generate import generate
    from maniplvm.simulation.generation.plan import Plan, shard_of
    from maniplvm.simulation.randomization.appearance import Variety

    plan = Plan(
        scenes=_scenes(_chosen_splits(world, splits), per_task or ["10"]),
        tasks=() if tasks == "all" else tuple(_listed(tasks)),
        views=views,
        size=size,
        seed=seed,
        variety=Variety.without(_listed(plain)),
    )
    total = sum(len(job.scenes) for job in shard_of(plan.jobs(), shard)) * views
    console = Console(stderr=True)
    with progress_bar(_Rate()) as bar:
        task = bar.add_task("pictures", total=total)
        report = generate(
            plan,
            out,
            name=name,
            workers=workers,
            shard=shard,
            progress=lambda images: bar.advance(task, images),
        )
    for split, causes in report.drops.items():
        given_up = ", ".join(f"{count} {cause}" for cause, count in causes.items())
        console.print(f"dropped from {split}: {given_up}")
    if report.missing:
        console.print(
            f"{report.missing} jobs are left to the other shards; {out} is not written yet"
        )
    else:
        console.print(f"{report.samples} samples in {out}")


def _chosen_splits(world: str, splits: str) -> list[str]:
    from maniplvm.simulation.generation.splits import SPLITS, split
    from maniplvm.simulation.worlds.registry import WORLD_NAMES

    if world not in ("all", *WORLD_NAMES):
        raise UserError(f"unknown world {world!r}; choose from {', '.join(WORLD_NAMES)}, all")
    offered = [name for name, made_of in SPLITS.items() if world in ("all", made_of.world)]
    chosen = offered if splits == "all" else [split(name).name for name in _listed(splits)]
    for name in chosen:
        if name not in offered:
            raise UserError(
                f"world {world} has no split {name!r}; choose from {', '.join(offered)}"
            )
    return chosen


def _scenes(splits: list[str], per_task: list[str]) -> dict[str, int]:
    """How many scenes a task gets in each split; later options override earlier ones."""
    scenes = dict.fromkeys(splits, 0)
    for option in per_task:
        name, _, count = option.rpartition("=")
        if not count.isdecimal():
            raise UserError(f"--per-task needs a number or SPLIT=NUMBER, got {option!r}")
        if name and name not in scenes:
            raise UserError(f"--per-task {option}: choose from {', '.join(scenes)}")
        scenes.update(dict.fromkeys([name] if name else splits, int(count)))
    return scenes


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Images a second."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")
