"""The options of `maniplvm evaluate`, in the groups in which its help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maniplvm.tasks import Task


def _option(panel: str, *arguments: Any, **settings: Any) -> Any:
    return typer.Option(*arguments, rich_help_panel=panel, **settings)


_ASKED = "What is asked"
_DECODING = "How it answers"
_JUDGED = "How that is judged"
_HERE = "A model on this machine"
_SERVED = "A model behind a server"
_ELSEWHERE = "Answers without a model"

Model = Annotated[
    str | None,
    typer.Argument(
        help="A folder, an id on the Hugging Face Hub, embedded, a name that --server knows, or "
        "baseline:constant, baseline:constant-per-task, baseline:nearest-instruction, "
        "baseline:random."
    ),
]
Out = Annotated[Path, typer.Option(help="The evaluation's folder; continued if begun.")]
Against = Annotated[
    Path | None, typer.Option(help="An earlier evaluation's folder, to compare with.")
]

Data = Annotated[Path, _option(_ASKED, help="Data set folder that holds the samples.")]
Splits = Annotated[str | None, _option(_ASKED, help="Such as id_test,ood_tasks; all.")]
OneTask = Annotated[Task | None, _option(_ASKED, help="Only this task.")]
Limit = Annotated[
    int | None,
    _option(_ASKED, min=1, help="Samples of each split and task at most, scenes whole."),
]
LimitSeed = Annotated[int, _option(_ASKED, min=0, help="Which scenes --limit takes.")]
WrongInstruction = Annotated[
    bool,
    _option(_ASKED, help="Ask with another category's instruction: is language used?"),
]

Temperature = Annotated[float, _option(_DECODING, help="0 is greedy.")]
TopP = Annotated[float, _option(_DECODING, help="Draw from this share of probability.")]
Draws = Annotated[int, _option(_DECODING, help="Completions of each sample.")]
Seed = Annotated[int, _option(_DECODING, min=0, help="Of draws and wrong instructions.")]
MaxNewTokens = Annotated[int, _option(_DECODING, help="Where a completion is cut.")]
FamilyName = Annotated[
    str | None,
    _option(_DECODING, "--family", help="Frame and prompt, where the model does not tell them."),
]
MaxPixels = Annotated[int | None, _option(_DECODING, help="Largest area that it sees.")]

ProtocolName = Annotated[str, _option(_JUDGED, "--protocol", help="What is measured.")]
PresetName = Annotated[
    str, _option(_JUDGED, "--preset", help="paper, weighted, dense, or a YAML file.")
]
Execute = Annotated[bool, _option(_JUDGED, help="Follow traces of simulated samples in physics.")]
ExecuteSplits = Annotated[str | None, _option(_JUDGED, help="Follow traces of these splits only.")]
Workers = Annotated[int, _option(_JUDGED, help="Processes that execute.")]

BatchSize = Annotated[int, _option(_HERE, help="Completions made together.")]
Adapter = Annotated[Path | None, _option(_HERE, help="Folder of a trained adapter.")]
Dtype = Annotated[str, _option(_HERE, help="auto, bfloat16, float16, float32.")]
Device = Annotated[str, _option(_HERE, help="auto, cpu, cuda:0, ...")]

Server = Annotated[
    str | None,
    _option(
        _SERVED,
        help="Base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.",
    ),
]
KeyEnv = Annotated[
    str | None,
    _option(_SERVED, help="Environment variable that holds the key; OPENAI_API_KEY."),
]
Concurrency = Annotated[int, _option(_SERVED, help="Questions under way at once.")]
RequestsPerMinute = Annotated[
    float | None, _option(_SERVED, help="Send no more; all at once if not given.")
]
Retries = Annotated[int, _option(_SERVED, help="Further attempts after a passing failure.")]
Timeout = Annotated[float, _option(_SERVED, help="Seconds until an answer must be there.")]
ConnectTimeout = Annotated[float, _option(_SERVED, help="Seconds until a connection must stand.")]
GiveUpAfter = Annotated[
    int, _option(_SERVED, help="Stop after so many questions in a row without an answer.")
]
Extra = Annotated[
    str | None,
    _option(_SERVED, help="""Further fields of each request, as JSON: '{"top_k": 20}'."""),
]
PriceIn = Annotated[
    float | None, _option(_SERVED, help="Of a million tokens of questions, images included.")
]
PriceOut = Annotated[float | None, _option(_SERVED, help="Of a million tokens of answers.")]

Predictions = Annotated[
    Path | None,
    _option(_ELSEWHERE, help='JSONL of {"id", "text", "frame"?}, instead of a model.'),
]
FrameName = Annotated[
    str | None,
    _option(_ELSEWHERE, "--frame", help="Frame of --predictions that name none; original pixels."),
]
BaselineData = Annotated[
    str | None, _option(_ELSEWHERE, help="DIR:SPLIT from which baselines learn.")
]
