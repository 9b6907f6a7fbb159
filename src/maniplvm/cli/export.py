"""`maniplvm export`: data sets and recipes for evaluation harnesses and training engines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from maniplvm.cli.progress import progress_bar
from maniplvm.cli.train import SetOption
from maniplvm.console import SafeConsole
from maniplvm.engines.lmms_eval import export_tasks

app = typer.Typer(
    help="Export data sets and recipes to harnesses and engines.", no_args_is_help=True
)


@app.command("lmms-eval")
def export_lmms_eval(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of the data set.")],
    out: Annotated[Path, typer.Option(help="New task folder, for --include_path of lmms-eval.")],
    splits: Annotated[
        str | None, typer.Option(help="Splits, such as id_test,ood_tasks; default: all.")
    ] = None,
    family: Annotated[
        str, typer.Option(help="Model family (frame and prompt), such as qwen3_vl.")
    ] = "qwen2_5_vl",
    protocol: Annotated[str, typer.Option(help="Evaluation protocol.")] = "maniplvm",
    preset: Annotated[
        str, typer.Option(help="Reward preset: paper, weighted, dense, or a YAML file.")
    ] = "paper",
    min_pixels: Annotated[
        int | None, typer.Option(help="Smallest image area, in square pixels.")
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(help="Largest image area, in square pixels.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Maximum number of new tokens.")] = 256,
) -> None:
    """Write a task folder for lmms-eval with the prompts and metrics of this package."""
    chosen = None if splits is None else tuple(name.strip() for name in splits.split(","))
    written = export_tasks(
        data,
        out,
        splits=chosen,
        family=family,
        protocol=protocol,
        preset=preset,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        max_new_tokens=max_new_tokens,
    )
    console = SafeConsole()
    total = sum(written.tasks.values())
    console.print(f"wrote group {written.group} with {total:,} samples to {out}:")
    for name, count in written.tasks.items():
        console.print(f"  {name}: {count:,}", soft_wrap=True)
    if written.skipped:
        console.print(
            f"skipped {written.skipped:,} samples that protocol {protocol} does not measure"
        )


RecipeArgument = Annotated[Path, typer.Argument(help="YAML recipe of GRPO; see docs/training.md.")]
OutOption = Annotated[Path, typer.Option(help="New folder of the run.")]
NodesOption = Annotated[int, typer.Option(help="Number of machines.")]
TensorParallelOption = Annotated[
    int, typer.Option(help="GPUs that hold one copy of the model for completions.")
]
ValSplitOption = Annotated[
    str | None, typer.Option(help="Split of the recipe's data set for the engine's validation.")
]


@app.command("verl")
def export_verl(
    recipe: RecipeArgument,
    out: OutOption,
    gpus: Annotated[int, typer.Option(help="GPUs of one machine.")] = 8,
    nodes: NodesOption = 1,
    rollout: Annotated[
        str, typer.Option(help="Engine of the completions: vllm, sglang or trtllm.")
    ] = "vllm",
    tensor_parallel: TensorParallelOption = 1,
    val_split: ValSplitOption = None,
    changes: SetOption = None,
) -> None:
    """Write a folder with which verl trains a GRPO recipe on one machine or several."""
    from maniplvm.engines.verl.cluster import Cluster
    from maniplvm.engines.verl.folder import export_recipe
    from maniplvm.training import read_recipe

    cluster = Cluster(gpus, nodes, rollout, tensor_parallel)
    with _prompt_progress() as advance:
        written = export_recipe(
            read_recipe(recipe, changes or []), out, cluster, val_split=val_split, advance=advance
        )
    steps = f"{written.steps:,} steps of {written.batch:,} prompts"
    _report(out, steps, written.validation, written.warnings)


@app.command("ms-swift")
def export_ms_swift(
    recipe: RecipeArgument,
    out: OutOption,
    gpus: Annotated[int, typer.Option(help="GPUs of one machine.")] = 1,
    nodes: NodesOption = 1,
    sharding: Annotated[
        str | None,
        typer.Option(
            help="How GPUs share the training state: none, zero2 or zero3 (DeepSpeed); default: "
            "zero3 for several GPUs."
        ),
    ] = None,
    val_split: ValSplitOption = None,
    changes: SetOption = None,
) -> None:
    """Write a folder with which ms-swift trains a GRPO recipe on one machine or several."""
    from maniplvm.engines.ms_swift.arguments import Machines
    from maniplvm.engines.ms_swift.folder import export_recipe
    from maniplvm.training import read_recipe

    machines = Machines(gpus, nodes, sharding)
    with _prompt_progress() as advance:
        written = export_recipe(
            read_recipe(recipe, changes or []), out, machines, val_split=val_split, advance=advance
        )
    steps = f"{written.steps:,} optimizer steps, {written.prompts:,} prompts"
    _report(out, steps, written.validation, written.warnings)


@app.command("easyr1")
def export_easyr1(
    recipe: RecipeArgument,
    out: OutOption,
    gpus: Annotated[int, typer.Option(help="GPUs of one machine.")] = 8,
    nodes: NodesOption = 1,
    tensor_parallel: TensorParallelOption = 1,
    val_split: ValSplitOption = None,
    changes: SetOption = None,
) -> None:
    """Write a folder with which EasyR1 trains a GRPO recipe on one machine or several."""
    from maniplvm.engines.easyr1.folder import export_recipe
    from maniplvm.engines.verl.cluster import Cluster
    from maniplvm.training import read_recipe

    cluster = Cluster(gpus, nodes, tensor_parallel=tensor_parallel)
    with _prompt_progress() as advance:
        written = export_recipe(
            read_recipe(recipe, changes or []), out, cluster, val_split=val_split, advance=advance
        )
    steps = f"{written.steps:,} steps of {written.batch:,} prompts"
    _report(out, steps, written.validation, written.warnings)


@contextmanager
def _prompt_progress() -> Generator[Callable[[int, int], None]]:
    """A progress bar of prompts; yields what counts new and all prompts."""
    with progress_bar() as bar:
        task = bar.add_task("prompts")
        yield lambda done, total: bar.update(task, advance=done, total=total)


def _report(out: Path, steps: str, validation: int, warnings: Sequence[str]) -> None:
    console = SafeConsole(stderr=True)
    for warning in warnings:
        console.print(f"! {warning}", soft_wrap=True)
    SafeConsole().print(
        f"wrote {out}: {steps}, {validation:,} validation prompts; start it with: "
        f"bash {out}/run.sh",
        soft_wrap=True,
    )
