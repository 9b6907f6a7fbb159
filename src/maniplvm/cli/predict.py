"""`maniplvm predict`: the answer to one instruction about one image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from maniplvm.cli.output import check_output
from maniplvm.cli.server_options import announcement, refuse_local_options, refuse_served_options
from maniplvm.console import SafeConsole
from maniplvm.data import PREDICTION_STYLE, as_answer, draw_answers, save_image
from maniplvm.data.image_statistics import ImageStatistics
from maniplvm.data.images import EncodedImage, decode, read_image
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.local import answer_question
from maniplvm.evaluation.predictors.server import ServerPredictor
from maniplvm.models import Decoding, load_model
from maniplvm.models.shipped import EMBEDDED, image_statistics_path
from maniplvm.tasks import Answer, Task, parse_answer
from maniplvm.text import one_line

_DRAWN_WIDTH = 640


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A folder, an id on the Hugging Face Hub, embedded, or the name of the model on "
            "--server."
        ),
    ],
    image: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP file.")],
    instruction: Annotated[str, typer.Argument(help="Instruction for the robot.")],
    task: Annotated[
        Task, typer.Option(help="Task: affordance (box), trajectory (trace) or pointing (points).")
    ],
    out: Annotated[Path | None, typer.Option(help="Output image with the drawn answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Nucleus sampling probability.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampling.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(help="Maximum number of new tokens.")] = 256,
    family: Annotated[
        str | None, typer.Option(help="Model family (frame and prompt), if it is not detected.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    max_pixels: Annotated[
        int | None, typer.Option(help="Largest image area, in square pixels.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Data type: auto, bfloat16, float16 or float32.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda:0, ...")] = "auto",
    server: Annotated[
        str | None,
        typer.Option(help="Base URL of an OpenAI-compatible server; see docs/servers.md."),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the API key; default: OPENAI_API_KEY."),
    ] = None,
) -> None:
    """Print the answer of a model for one image, and draw it.

    An image with an EXIF orientation is rotated upright first; pixels refer to the upright image.
    The exit status is 1 if the completion holds no answer. Then no image is written.
    """
    check_output(out)
    if not instruction.strip():
        raise UserError("the instruction is empty; give an instruction for the robot")
    decoding = Decoding(temperature, top_p, max_new_tokens)
    encoded = _image(image)
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
        completion, frame = served.answer(instruction, task, encoded.data, encoded.size)
        answer = parse_answer(completion, task, frame)
    else:
        refuse_served_options({"--key-env": key_env is not None})
        if model == EMBEDDED:
            _check_embedded(task)
            _compare_statistics(encoded)
        loaded = load_model(
            model,
            family=family,
            adapter=adapter,
            max_pixels=max_pixels,
            dtype=dtype,
            device=device,
        )
        completion, answer = answer_question(
            loaded, instruction, task, encoded.data, encoded.size, decoding, seed
        )
    if not answer.well_formed and answer.parsed:
        _notice(f"the completion is not in the requested format: {answer.format_status}")
    if answer.guesses:
        _notice(f"the answer was guessed: {', '.join(answer.guesses)}; see docs/answer-formats.md")
    if as_json:
        typer.echo(json.dumps(_record(model, image, instruction, encoded, completion, answer)))
    else:
        _print(completion, answer, encoded)
    if answer.value is None:
        _notice(
            f"no answer could be parsed: {answer.status}"
            + ("" if out is None else f"; {out} is not written")
        )
        raise typer.Exit(1)
    if out is not None:
        shape = as_answer(answer.value, task)
        _draw(out, encoded, shape, quiet=as_json)


def _check_embedded(task: Task) -> None:
    """State what the shipped model was trained for.

    Raises:
        UserError: it was not trained for the task.
    """
    trained = (Task.AFFORDANCE, Task.TRAJECTORY)
    if task not in trained:
        raise UserError(
            f"--task {task}: the embedded model was trained for {' and '.join(trained)} only"
        )
    _notice("the embedded model knows simulated images only; its answers to photographs are wrong")


def _compare_statistics(encoded: EncodedImage) -> None:
    """Say so if the image does not look like the images that the shipped model was trained on."""
    statistics = ImageStatistics.read(image_statistics_path())
    distance = statistics.distance(decode(encoded.data))
    if distance > statistics.limit:
        _notice(
            f"image statistics differ from the training images (distance {distance:.1f}, limit "
            f"{statistics.limit:.1f}); the answer is probably wrong"
        )


def _notice(message: str) -> None:
    typer.echo(one_line(message), err=True)


def _image(path: Path) -> EncodedImage:
    try:
        return read_image(path)
    except RecordError as error:
        raise UserError(f"{error.code}: {error.detail}") from error


def _record(
    model: str, image: Path, instruction: str, encoded: EncodedImage, text: str, answer: Answer
) -> dict[str, object]:
    return {
        "model": model,
        "image": str(image),
        "image_size": list(encoded.size),
        "instruction": instruction,
        "task": answer.task.value,
        "text": text,
        "answer": None if answer.value is None else answer.value.round(3).tolist(),
        "status": answer.status.value,
        "guesses": [guess.value for guess in answer.guesses],
        "well_formed": answer.well_formed,
        "format_status": answer.format_status.value,
        "reasoning": answer.reasoning,
    }


_SHAPES = {
    Task.AFFORDANCE: "box x1, y1, x2, y2",
    Task.TRAJECTORY: "path x, y",
    Task.POINTING: "points x, y",
}


def _print(text: str, answer: Answer, image: EncodedImage) -> None:
    console = SafeConsole()
    console.print(text, markup=False, highlight=False)
    width, height = image.size
    if answer.value is None:
        return
    numbers = json.dumps(answer.value.round(1).tolist())
    console.print(
        f"{_SHAPES[answer.task]} in pixels of the {width} x {height} image: {numbers}",
        markup=False,
    )


def _draw(path: Path, image: EncodedImage, shape: Any, quiet: bool) -> None:
    width = max(_DRAWN_WIDTH, image.size[0])
    drawn = draw_answers(decode(image.data), [(shape, PREDICTION_STYLE)], width=width, legend=False)
    save_image(drawn, path)
    if not quiet:
        SafeConsole().print(f"wrote {path}")
