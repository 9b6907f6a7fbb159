"""`maniplvm train sft` and `maniplvm train grpo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maniplvm.console import SafeConsole
from maniplvm.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Train a model with a recipe.")

RecipeArgument = Annotated[Path, typer.Argument(help="YAML recipe; see docs/training.md.")]
OutOption = Annotated[
    Path | None, typer.Option(help="Run folder; default: runs/ and the name of the recipe.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting of the recipe: key.path=value; repeatable."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check recipe, data and memory without loading weights.")
]
LaunchOption = Annotated[
    Path | None,
    typer.Option(
        "--launch",
        help="With --dry-run: an accelerate config file instead of the recipe's.",
    ),
]


@app.command("sft")
def sft(
    recipe: RecipeArgument,
    out: OutOption = None,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    launch: LaunchOption = None,
) -> None:
    """Train with supervised fine-tuning (SFT) on the targets. The same command resumes it."""
    _train(recipe, "sft", out, changes or [], dry_run, launch)


@app.command("grpo")
def grpo(
    recipe: RecipeArgument,
    out: OutOption = None,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    launch: LaunchOption = None,
) -> None:
    """Train with GRPO and verifiable rewards. The same command resumes it."""
    _train(recipe, "grpo", out, changes or [], dry_run, launch)


def _train(
    path: Path,
    method: str,
    out: Path | None,
    changes: list[str],
    is_dry_run: bool,
    launch: Path | None,
) -> None:
    from maniplvm.training import read_recipe, train
    from maniplvm.training.loop.cpu_processes import leave_process_group, start_missing_processes

    recipe = read_recipe(path, changes)
    if is_dry_run:
        from maniplvm.training.config.launch import read_launch
        from maniplvm.training.dry_run.check import check
        from maniplvm.training.dry_run.report import render_report

        planned = None if launch is None else read_launch(launch)
        SafeConsole().print(render_report(check(recipe, method, planned, out)))
        return
    if launch is not None:
        raise UserError("--launch needs --dry-run; to train, use `maniplvm launch`")
    start_missing_processes(sys.argv[1:])
    train(recipe, method, out, command=["maniplvm", *sys.argv[1:]])
    leave_process_group()
