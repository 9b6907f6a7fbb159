"""`maniplvm predict`: one image, one instruction, one answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from maniplvm.cli.output import check_output
from maniplvm.cli.server_options import announcement, refuse_local_options, refuse_served_options
from maniplvm.data import PREDICTION_STYLE, as_answer, draw_answers
from maniplvm.data.images import EncodedImage, decode, read_image
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.local import answer_question
from maniplvm.evaluation.predictors.server import ServerPredictor
from maniplvm.models import Decoding, load_model
from maniplvm.tasks import Answer, Task, parse_answer

_DRAWN_WIDTH = 640


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A folder, an id on the Hugging Face Hub, embedded, or a name that --server knows."
        ),
    ],
    image: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP file.")],
    instruction: Annotated[str, typer.Argument(help="What the robot is told to do.")],
    task: Annotated[Task, typer.Option(help="A box (affordance) or a path (trajectory).")],
    out: Annotated[Path | None, typer.Option(help="Draw the answer on the image here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Draw from this share of probability.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of a sampled answer.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(help="Where the text is cut.")] = 256,
    family: Annotated[
        str | None, typer.Option(help="Frame and prompt, where the model does not tell them.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a trained adapter.")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Largest area that it sees.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16, float32.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, ...")] = "auto",
    server: Annotated[
        str | None, typer.Option(help="Ask a model behind this server; see docs/servers.md.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds its key; OPENAI_API_KEY.")
    ] = None,
) -> None:
    """Ask a model about one image: text, answer in the image's pixels, and an overlay.

    A photo that its camera marked as turned is turned upright first; pixels are those of the
    upright image.
    """
    check_output(out)
    if not instruction.strip():
        raise UserError("the instruction is empty; say what the robot is to do")
    decoding = Decoding(temperature, top_p, max_new_tokens)
    picture = _image(image)
    if server is not None:
        refuse_local_options(adapter=adapter, dtype=dtype, device=device)
        served = ServerPredictor(
            model,
            server,
            decoding,
            seed=seed,
            family=family,
            max_pixels=max_pixels,
            key_variable=key_env,
            notice=_notice,
        )
        _notice(announcement(served))
        reply, frame = served.answer(instruction, task, picture.data, picture.size)
        answer = parse_answer(reply, task, frame)
    else:
        refuse_served_options({"--key-env": key_env is not None})
        loaded = load_model(
            model,
            family=family,
            adapter=adapter,
            max_pixels=max_pixels,
            dtype=dtype,
            device=device,
        )
        reply, answer = answer_question(
            loaded, instruction, task, picture.data, picture.size, decoding, seed
        )
    if as_json:
        typer.echo(json.dumps(_record(model, image, instruction, picture, reply, answer)))
    else:
        _print(reply, answer, picture)
    if out is not None:
        _draw(out, picture, answer, quiet=as_json)


def _notice(message: str) -> None:
    typer.echo(message, err=True)


def _image(path: Path) -> EncodedImage:
    try:
        return read_image(path)
    except RecordError as error:
        raise UserError(f"{error.code}: {error.detail}") from error


def _record(
    model: str, image: Path, instruction: str, picture: EncodedImage, text: str, answer: Answer
) -> dict[str, object]:
    return {
        "model": model,
        "image": str(image),
        "image_size": list(picture.size),
        "instruction": instruction,
        "task": answer.task.value,
        "text": text,
        "answer": None if answer.value is None else answer.value.round(3).tolist(),
        "status": answer.status.value,
        "well_formed": answer.well_formed,
        "reasoning": answer.reasoning,
    }


_SHAPES = {
    Task.AFFORDANCE: "box x1, y1, x2, y2",
    Task.TRAJECTORY: "path x, y",
    Task.POINTING: "points x, y",
}


def _print(text: str, answer: Answer, image: EncodedImage) -> None:
    console = Console()
    console.print(text, markup=False, highlight=False)
    width, height = image.size
    if answer.value is None:
        console.print(f"no answer could be read: {answer.status}")
        return
    numbers = json.dumps(answer.value.round(1).tolist())
    console.print(
        f"{_SHAPES[answer.task]} in pixels of the {width} x {height} image: {numbers}",
        markup=False,
    )


def _draw(path: Path, image: EncodedImage, answer: Answer, quiet: bool) -> None:
    answers = (
        [] if answer.value is None else [(as_answer(answer.value, answer.task), PREDICTION_STYLE)]
    )
    drawn = draw_answers(
        decode(image.data), answers, width=max(_DRAWN_WIDTH, image.size[0]), legend=False
    )
    try:
        drawn.save(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {path}: cannot be written ({error})") from error
    if not quiet:
        Console().print(f"drew it on {path}")
