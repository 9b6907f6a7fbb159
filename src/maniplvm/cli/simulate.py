"""`maniplvm simulate`: generate a data set in simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import ProgressColumn, Task
from rich.text import Text

from maniplvm.cli.deprecated import renamed_option
from maniplvm.cli.progress import progress_bar
from maniplvm.cli.ray_option import Ray
from maniplvm.cluster import ray_address
from maniplvm.console import SafeConsole
from maniplvm.errors import UserError


def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the new data set.")],
    world: Annotated[
        str, typer.Option(help="Simulated world: metaworld, robosuite or all.")
    ] = "metaworld",
    splits: Annotated[
        str, typer.Option(help="Splits of the world, separated by commas, or all.")
    ] = "all",
    tasks: Annotated[str, typer.Option(help="Tasks, separated by commas, or all.")] = "all",
    per_task: Annotated[
        list[str] | None,
        typer.Option(help="Initial states per task: 20, or train=20 for one split; repeatable."),
    ] = None,
    views: Annotated[int, typer.Option(help="Images per initial state.")] = 2,
    size: Annotated[int, typer.Option(help="Width and height of the images, in pixels.")] = 192,
    seed: Annotated[int, typer.Option(help="Seed of the scenes, 0 to 99.")] = 0,
    disable_randomization: Annotated[
        str,
        typer.Option(
            help="Kinds of domain randomization to disable, separated by commas: camera, "
            "field_of_view, light, colours, textures, distractors or all."
        ),
    ] = "",
    plain: Annotated[str | None, typer.Option(hidden=True)] = None,
    workers: Annotated[int, typer.Option(help="Number of worker processes, on each node.")] = 1,
    ray: Ray = None,
    shard: Annotated[str, typer.Option(help="Shard i/n: run only every n-th job.")] = "1/1",
    name: Annotated[str, typer.Option(help="Name of the data set.")] = "simulated manipulation",
) -> None:
    """Generate a data set of boxes and traces from simulated demonstrations.

    Run the same command again to resume an interrupted run.
    """
    from maniplvm.simulation.worlds import require_mujoco

    require_mujoco()
    from maniplvm.simulation.generation.generate import generate
    from maniplvm.simulation.generation.plan import Plan, shard_of
    from maniplvm.simulation.randomization.domain_randomization import DomainRandomization

    disabled = renamed_option("--plain", plain, "--disable-randomization", disable_randomization)
    plan = Plan(
        scenes=_scenes(_selected_splits(world, splits), per_task or ["10"]),
        tasks=() if tasks == "all" else tuple(_listed(tasks)),
        views=views,
        size=size,
        seed=seed,
        randomization=DomainRandomization.without(_listed(disabled)),
    )
    total = sum(len(job.scenes) for job in shard_of(plan.jobs(), shard)) * views
    console = SafeConsole(stderr=True)
    with progress_bar(_Rate()) as bar:
        task = bar.add_task("images", total=total)
        report = generate(
            plan,
            out,
            name=name,
            workers=workers,
            ray=ray_address(ray),
            report=lambda line: console.print(line, highlight=False),
            shard=shard,
            progress=lambda images: bar.advance(task, images),
        )
    for split, causes in report.drops.items():
        counts = ", ".join(f"{count} {cause}" for cause, count in causes.items())
        console.print(f"dropped images of split {split}: {counts}")
    if report.missing:
        console.print(
            f"{report.missing} jobs of other shards are not finished; {out} is not written yet"
        )
    else:
        console.print(f"{report.samples} samples in {out}")


def _selected_splits(world: str, splits: str) -> list[str]:
    from maniplvm.simulation.generation.plan import SPLITS, split
    from maniplvm.simulation.worlds import WORLD_NAMES

    if world not in ("all", *WORLD_NAMES):
        raise UserError(f"unknown world {world!r}; choose from {', '.join(WORLD_NAMES)}, all")
    available = [name for name, each in SPLITS.items() if world in ("all", each.world)]
    selected = available if splits == "all" else [split(name).name for name in _listed(splits)]
    for name in selected:
        if name not in available:
            raise UserError(
                f"world {world} has no split {name!r}; choose from {', '.join(available)}"
            )
    return selected


def _scenes(splits: list[str], per_task: list[str]) -> dict[str, int]:
    """The number of scenes per task in each split. Later options override earlier ones."""
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
