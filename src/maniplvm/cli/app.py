"""The command-line application with all commands."""

from __future__ import annotations

from typing import Annotated

import typer

import maniplvm
from maniplvm.cli.compare import compare
from maniplvm.cli.data import app as data_app
from maniplvm.cli.deprecated import deprecated_command
from maniplvm.cli.doctor import doctor
from maniplvm.cli.evaluate import evaluate_model
from maniplvm.cli.execute import execute
from maniplvm.cli.experiment import experiment
from maniplvm.cli.export import app as export_app
from maniplvm.cli.import_checkpoint import import_checkpoint
from maniplvm.cli.interpolate import interpolate, interpolate_by_share
from maniplvm.cli.launch import launch
from maniplvm.cli.predict import predict
from maniplvm.cli.pretrain_embedded import pretrain_embedded
from maniplvm.cli.quickstart import quickstart
from maniplvm.cli.report import report
from maniplvm.cli.rescore import rescore_folder
from maniplvm.cli.score import score_predictions, score_text
from maniplvm.cli.simulate import simulate
from maniplvm.cli.train import app as train_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Post-train vision-language models for robot manipulation with verifiable rewards.",
    epilog="Exit status: 0 success, 1 negative result, 2 error, 130 Ctrl-C, 143 SIGTERM.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"maniplvm {maniplvm.__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Post-train vision-language models for robot manipulation with verifiable rewards."""


app.add_typer(data_app, name="data")
app.add_typer(train_app, name="train")
app.add_typer(export_app, name="export")
app.command("launch")(launch)
app.command("quickstart")(quickstart)
app.command("experiment")(experiment)
app.command("simulate")(simulate)
app.command("pretrain-embedded")(pretrain_embedded)
app.command("import-checkpoint")(import_checkpoint)
app.command("interpolate")(interpolate)
app.command("evaluate")(evaluate_model)
app.command("rescore")(rescore_folder)
app.command("compare")(compare)
app.command("execute")(execute)
app.command("predict")(predict)
app.command("report")(report)
app.command("doctor")(doctor)
app.command("score")(score_predictions)
app.command("score-text")(score_text)
deprecated_command(app, "blend", "interpolate --alpha", interpolate_by_share)
deprecated_command(app, "embedded", "pretrain-embedded", pretrain_embedded)
