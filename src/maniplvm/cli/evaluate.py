"""`maniplvm evaluate`: a model measured on a data set, and against an earlier measurement."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import TaskID

from maniplvm.cli.evaluation_tables import comparison_table, headline, result_tables
from maniplvm.cli.progress import progress_bar
from maniplvm.errors import UserError
from maniplvm.evaluation import (
    BASELINES,
    ConstantBaseline,
    FilePredictor,
    ModelPredictor,
    Physics,
    Predictor,
    RandomBaseline,
    Selection,
    compare,
    evaluate,
    read_evaluation,
)
from maniplvm.evaluation.baselines import PREFIX, parse_split
from maniplvm.evaluation.local_model import BATCH_SIZE
from maniplvm.models import Decoding
from maniplvm.tasks import Task


def evaluate_model(
    data: Annotated[Path, typer.Option(help="Data set folder that holds the samples.")],
    out: Annotated[Path, typer.Option(help="The evaluation's folder; continued if begun.")],
    model: Annotated[
        str | None,
        typer.Argument(
            help="A folder, an id on the Hugging Face Hub, embedded, or baseline:constant, "
            "baseline:constant-per-task, baseline:random."
        ),
    ] = None,
    splits: Annotated[str | None, typer.Option(help="Such as id_test,ood_tasks; all.")] = None,
    task: Annotated[Task | None, typer.Option(help="Only this task.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Samples of each split and task at most, scenes whole."),
    ] = None,
    limit_seed: Annotated[int, typer.Option(min=0, help="Which scenes --limit takes.")] = 0,
    against: Annotated[
        Path | None, typer.Option(help="An earlier evaluation's folder, to compare with.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="What is measured.")] = "maniplvm",
    preset: Annotated[str, typer.Option(help="paper, weighted, dense, or a YAML file.")] = "paper",
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Draw from this share of probability.")] = 1.0,
    draws: Annotated[int, typer.Option(help="Completions of each sample.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and wrong instructions.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(help="Where a completion is cut.")] = 256,
    batch_size: Annotated[int, typer.Option(help="Completions made together.")] = BATCH_SIZE,
    execute: Annotated[
        bool, typer.Option(help="Follow traces of simulated samples in physics.")
    ] = True,
    execute_splits: Annotated[
        str | None, typer.Option(help="Follow traces of these splits only.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that execute.")] = 2,
    wrong_instruction: Annotated[
        bool, typer.Option(help="Ask with another category's instruction: is language used?")
    ] = False,
    family: Annotated[
        str | None, typer.Option(help="Frame and prompt, where the model does not tell them.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a trained adapter.")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Largest area that it sees.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16, float32.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, ...")] = "auto",
    predictions: Annotated[
        Path | None, typer.Option(help='JSONL of {"id", "text", "frame"?}, instead of a model.')
    ] = None,
    frame: Annotated[
        str | None, typer.Option(help="Frame of --predictions that name none; original pixels.")
    ] = None,
    baseline_data: Annotated[
        str | None, typer.Option(help="DIR:SPLIT from which a constant baseline learns.")
    ] = None,
) -> None:
    """Measure a model: both tasks, every split, with 95 % intervals.

    Interrupted, it continues where it stopped. Finished, it shows its result again.
    """
    if (model is None) == (predictions is None):
        raise UserError("name a model or --predictions, one of them")
    predictor: Predictor
    if predictions is not None:
        predictor = FilePredictor(predictions, frame)
    elif model is not None and model.startswith(PREFIX):
        predictor = _baseline(model, baseline_data, seed)
    else:
        predictor = ModelPredictor(
            str(model),
            Decoding(temperature, top_p, max_new_tokens),
            draws=draws,
            seed=seed,
            batch_size=batch_size,
            family=family,
            adapter=adapter,
            max_pixels=max_pixels,
            dtype=dtype,
            device=device,
        )
    if against is not None:
        read_evaluation(against)
    selection = Selection(
        _listed(splits),
        None if task is None else task.value,
        limit,
        limit_seed,
    )
    console = Console()
    with _Bar() as bar:
        result = evaluate(
            predictor,
            data,
            out,
            selection=selection,
            protocol=protocol,
            preset=preset,
            physics=Physics(workers, _listed(execute_splits)) if execute else None,
            wrong_instruction=seed if wrong_instruction else None,
            command=["maniplvm", *sys.argv[1:]],
            progress=bar.advance,
        )
    if not bar.moved:
        console.print(f"{out}: already finished; this is its result")
    console.print(headline(result))
    for table in result_tables(result):
        console.print(table)
    if against is not None:
        console.print(comparison_table(compare(against, out)))


def _baseline(model: str, baseline_data: str | None, seed: int) -> Predictor:
    name = model.removeprefix(PREFIX)
    if name not in BASELINES:
        raise UserError(
            f"unknown baseline {name!r}; choose from {', '.join(PREFIX + own for own in BASELINES)}"
        )
    if name == "random":
        return RandomBaseline(seed)
    if baseline_data is None:
        raise UserError(f"{model} learns its constants from data: add --baseline-data DIR:SPLIT")
    return ConstantBaseline(*parse_split(baseline_data), per_category=name == "constant-per-task")


class _Bar:
    """A bar for each stage on standard error; none where nobody watches."""

    def __init__(self) -> None:
        self.moved = False
        self._tasks: dict[str, TaskID] = {}
        self._progress = progress_bar()

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        self.moved = True
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)


def _listed(names: str | None) -> tuple[str, ...] | None:
    """Names that are separated by commas."""
    return None if names is None else tuple(name.strip() for name in names.split(","))
