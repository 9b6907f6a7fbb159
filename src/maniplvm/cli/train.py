"""`maniplvm train sft` and `maniplvm train grpo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from maniplvm.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Train a model as a recipe says.")

RecipeArgument = Annotated[Path, typer.Argument(help="A YAML file; see docs/training.md.")]
OutOption = Annotated[
    Path | None, typer.Option(help="The run's folder; default: runs/ and the recipe's name.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Replace a setting: key.path=value; may be given several times."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and load no weights.")
]


@app.command("sft")
def sft(
    recipe: RecipeArgument,
    out: OutOption = None,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Supervised fine-tuning on the targets. Run it again to go on after an interruption."""
    _train(recipe, "sft", out, changes or [], dry_run)


@app.command("grpo")
def grpo(
    recipe: RecipeArgument,
    out: OutOption = None,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Learning from verifiable rewards. Run it again to go on after an interruption."""
    _train(recipe, "grpo", out, changes or [], dry_run)


def _train(path: Path, method: str, out: Path | None, changes: list[str], is_dry_run: bool) -> None:
    from maniplvm.training import read_recipe, train

    recipe = read_recipe(path, changes)
    if is_dry_run:
        from maniplvm.training.dry_run import check

        Console().print(check(recipe, method))
        return
    try:
        train(recipe, method, out, command=["maniplvm", *sys.argv[1:]])
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command goes on from the last checkpoint") from None
