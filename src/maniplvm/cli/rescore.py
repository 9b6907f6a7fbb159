"""`maniplvm rescore`: score stored predictions under other protocols, without the model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maniplvm.cli.evaluation_tables import headline, result_tables
from maniplvm.console import SafeConsole
from maniplvm.evaluation import PROTOCOLS, rescore


def rescore_folder(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished evaluation.")],
    protocol: Annotated[
        list[str], typer.Option(help=f"Evaluation protocol: {', '.join(PROTOCOLS)}; repeatable.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder; default: FOLDER/rescored/PROTOCOL."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set, if it was moved.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Reward preset; default: that of the evaluation.")
    ] = None,
) -> None:
    """Score the predictions of a finished evaluation under other protocols.

    The model is not needed. The earlier result stays.
    """
    names = [each for name in protocol for each in name.split(",")]
    results = rescore(
        folder,
        list(dict.fromkeys(names)),
        out=out,
        data=data,
        preset=preset,
        command=["maniplvm", *sys.argv[1:]],
    )
    console = SafeConsole()
    for target, result in results.items():
        console.print(headline(result))
        for table in result_tables(result):
            console.print(table)
        console.print(f"written to {target}", highlight=False, soft_wrap=True)
