"""The options of `maniplvm evaluate`, in the groups of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maniplvm.cli import ray_option
from maniplvm.tasks import Task


def _option(panel: str, *arguments: Any, **settings: Any) -> Any:
    return typer.Option(*arguments, rich_help_panel=panel, **settings)


_SAMPLES = "Samples"
_GENERATION = "Generation"
_SCORING = "Scoring"
_LOCAL = "Local model"
_SERVER = "Model on a server"
_NO_MODEL = "Predictions files and baselines"

Model = Annotated[
    str | None,
    typer.Argument(
        help="A folder, an id on the Hugging Face Hub, embedded, the name of the model on --server, or "
        "baseline:constant, baseline:constant-per-task, baseline:nearest-instruction, "
        "baseline:random."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the evaluation; an interrupted one resumes.")]
Against = Annotated[
    Path | None, typer.Option(help="Folder of an earlier evaluation to compare with.")
]

Data = Annotated[Path, _option(_SAMPLES, help="Folder of the data set.")]
Splits = Annotated[
    str | None, _option(_SAMPLES, help="Splits, such as id_test,ood_tasks; default: all.")
]
OneTask = Annotated[Task | None, _option(_SAMPLES, help="Evaluate only this task.")]
Limit = Annotated[
    int | None,
    _option(_SAMPLES, min=1, help="Maximum number of samples per split and task, in whole scenes."),
]
LimitSeed = Annotated[
    int, _option(_SAMPLES, min=0, help="Seed of the choice of scenes under --limit.")
]
WrongInstruction = Annotated[
    bool,
    _option(
        _SAMPLES, help="Use instructions of another category, to test whether language matters."
    ),
]

Temperature = Annotated[float, _option(_GENERATION, help="Sampling temperature; 0 is greedy.")]
TopP = Annotated[float, _option(_GENERATION, help="Nucleus sampling probability.")]
Draws = Annotated[int, _option(_GENERATION, help="Number of completions per sample.")]
Seed = Annotated[
    int, _option(_GENERATION, min=0, help="Seed of sampling and of wrong instructions.")
]
MaxNewTokens = Annotated[int, _option(_GENERATION, help="Maximum number of new tokens.")]
FamilyName = Annotated[
    str | None,
    _option(
        _GENERATION, "--family", help="Model family (frame and prompt), if it is not detected."
    ),
]
MaxPixels = Annotated[
    int | None, _option(_GENERATION, help="Largest image area, in square pixels.")
]

ProtocolName = Annotated[str, _option(_SCORING, "--protocol", help="Evaluation protocol.")]
PresetName = Annotated[
    str,
    _option(_SCORING, "--preset", help="Reward preset: paper, weighted, dense, or a YAML file."),
]
Execute = Annotated[bool, _option(_SCORING, help="Execute traces of simulated samples in physics.")]
Ray = Annotated[str | None, _option(_SCORING, help=ray_option.HELP, metavar="ADDRESS")]
ExecuteSplits = Annotated[
    str | None, _option(_SCORING, help="Execute only traces of these splits.")
]
Workers = Annotated[int, _option(_SCORING, help="Number of processes for execution.")]

BatchSize = Annotated[int, _option(_LOCAL, help="Batch size of generation.")]
Adapter = Annotated[Path | None, _option(_LOCAL, help="Folder of a LoRA adapter.")]
Dtype = Annotated[str, _option(_LOCAL, help="Data type: auto, bfloat16, float16 or float32.")]
Device = Annotated[str, _option(_LOCAL, help="Device: auto, cpu, cuda:0, ...")]

Server = Annotated[
    str | None,
    _option(
        _SERVER,
        help="Base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.",
    ),
]
KeyEnv = Annotated[
    str | None,
    _option(_SERVER, help="Environment variable with the API key; default: OPENAI_API_KEY."),
]
Concurrency = Annotated[int, _option(_SERVER, help="Number of concurrent requests.")]
RequestsPerMinute = Annotated[
    float | None, _option(_SERVER, help="Maximum request rate; default: no limit.")
]
Retries = Annotated[int, _option(_SERVER, help="Retries after a transient failure.")]
Timeout = Annotated[float, _option(_SERVER, help="Time limit of a response, in seconds.")]
ConnectTimeout = Annotated[float, _option(_SERVER, help="Time limit of connecting, in seconds.")]
MaxConsecutiveFailures = Annotated[
    int, _option(_SERVER, help="Stop after this many failed requests in a row.")
]
GiveUpAfter = Annotated[int | None, _option(_SERVER, hidden=True)]
Extra = Annotated[
    str | None,
    _option(_SERVER, help="""Further fields of each request, as JSON, such as '{"top_k": 20}'."""),
]
PriceIn = Annotated[
    float | None, _option(_SERVER, help="Price of a million prompt tokens, images included.")
]
PriceOut = Annotated[float | None, _option(_SERVER, help="Price of a million completion tokens.")]

Predictions = Annotated[
    Path | None,
    _option(_NO_MODEL, help='JSONL file of {"id", "text", "frame"?}, instead of a model.'),
]
FrameName = Annotated[
    str | None,
    _option(
        _NO_MODEL, "--frame", help="Frame of --predictions without one; default: original pixels."
    ),
]
BaselineData = Annotated[
    str | None, _option(_NO_MODEL, help="DIR:SPLIT that baselines are fitted to.")
]
