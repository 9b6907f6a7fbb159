"""`maniplvm launch`: the command lines of a recipe on one or many machines."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from maniplvm.cli.train import OutOption, RecipeArgument, SetOption


class Only(StrEnum):
    """The two parts of a launch."""

    SERVER = "server"
    TRAINER = "trainer"


def launch(
    recipe: RecipeArgument,
    method: Annotated[
        str | None, typer.Option(help="sft or grpo; default: the name of the recipe's folder.")
    ] = None,
    accelerate: Annotated[
        Path | None, typer.Option(help="An accelerate config file instead of the recipe's.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(help="Machines that train; default: those of the config file.")
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(help="GPUs of each machine; on a single one with those of the vLLM server."),
    ] = None,
    rank: Annotated[int, typer.Option(help="Rank of this machine among those that train.")] = 0,
    main_address: Annotated[
        str | None, typer.Option(help="Address of the machine of rank 0.")
    ] = None,
    main_port: Annotated[int, typer.Option(help="Port on it.", min=1, max=65535)] = 29500,
    server_address: Annotated[
        str | None, typer.Option(help="Address of another machine with the vLLM server.")
    ] = None,
    only: Annotated[
        Only | None, typer.Option(help="Only the vLLM server, or only the training.")
    ] = None,
    out: OutOption = None,
    changes: SetOption = None,
    run: Annotated[
        bool, typer.Option("--run", help="Start the commands instead of printing them.")
    ] = False,
) -> None:
    """Print the command lines that start a recipe on this machine; with --run, start them.

    The exit status is that of the training. Signals are passed on.
    """
    from maniplvm.training import read_recipe
    from maniplvm.training.launching.commands import Machines, method_of, plan_launch
    from maniplvm.training.launching.processes import run_commands
    from maniplvm.training.launching.requirements import check_machine

    machines = Machines(nodes, gpus, rank, main_address, main_port, server_address)
    changed = changes or []
    settings = read_recipe(recipe, changed)
    plan = plan_launch(
        settings,
        recipe,
        method_of(recipe, method),
        machines,
        accelerate=None if accelerate is None else str(accelerate),
        changes=changed,
        out=out,
        only=None if only is None else only.value,
    )
    if not run:
        for command in plan.commands:
            typer.echo(str(command))
        return
    check_machine(plan, bool(settings.trainer.get("use_vllm")))
    raise typer.Exit(run_commands(*reversed(plan.commands), report=partial(typer.echo, err=True)))
