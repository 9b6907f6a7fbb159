import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from PIL import Image, ImageColor
from typer.testing import CliRunner

from maniplvm.cli import main
from maniplvm.cli.app import app
from maniplvm.data import PREDICTION_STYLE, open_dataset
from maniplvm.evaluation.predictors import local as local_model
from maniplvm.models import write_tiny_checkpoint
from maniplvm.models.generation import Completion
from tests.cli.images import png

ROOT = Path(__file__).parents[2]
BOX = "<think>the [knob] is there</think><answer>[250, 500, 500, 1000]</answer>"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), "qwen3_vl")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "kitchen.png"
    path.write_bytes(png(64, 48))
    return path


@pytest.fixture
def completes(monkeypatch):
    """Lets the model return a completion, and stores its requests."""
    asked = []

    def complete(text):
        real = local_model.encode_batch

        def encode(loaded, questions):
            asked.extend(questions)
            return real(loaded, questions)

        monkeypatch.setattr(local_model, "encode_batch", encode)
        monkeypatch.setattr(local_model, "generate", lambda *_: [Completion(text, 9)])
        return asked

    return complete


def run(*arguments, status=0):
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.stdout if status == 0 else result.output


def test_a_completion_without_an_answer_ends_with_status_1_and_no_image(tiny, image, tmp_path):
    asked = (tiny, image, "open it", "--task", "trajectory", "--max-new-tokens", "4")
    out = tmp_path / "overlay.png"
    output = run(*asked, "--out", out, status=1)
    assert f"no answer could be parsed: no_answer_tag; {out} is not written" in output
    assert not out.exists()
    result = CliRunner().invoke(app, ["predict", *map(str, asked), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["answer"] is None


def test_an_answer_in_another_format_is_reported(tiny, image, completes):
    completes("the knob [250, 500, 500, 1000]")
    arguments = ["predict", str(tiny), str(image), "open it", "--task", "affordance"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "the completion is not in the requested format: no_answer_tag" in result.stderr
    record = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (record["well_formed"], record["format_status"]) == (False, "no_answer_tag")


def test_a_guessed_answer_is_reported(tiny, image, completes):
    completes("[500, 1000, 250, 500]")
    arguments = ["predict", str(tiny), str(image), "open it", "--task", "affordance"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "the answer was guessed: swapped_corners" in result.stderr
    record = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (record["status"], record["guesses"]) == ("guessed", ["swapped_corners"])


def test_the_embedded_model_states_what_it_was_trained_for(image):
    arguments = ["predict", "embedded", str(image), "open it", "--task"]
    pointing = CliRunner().invoke(app, [*arguments, "pointing"])
    assert "was trained for affordance and trajectory only" in str(pointing.exception)
    boxes = CliRunner().invoke(app, [*arguments, "affordance"])
    assert "knows simulated images only; its answers to photographs are wrong" in boxes.stderr
    assert boxes.stderr.count("knows simulated images only") == 1
    assert boxes.stderr.count("image statistics differ from the training images") == 1


def test_the_statistics_of_a_training_image_do_not_differ(tmp_path):
    samples = open_dataset(ROOT / "datasets" / "sim-small").samples("train")
    (tmp_path / "a.jpg").write_bytes(next(samples).image)
    command = ["predict", "embedded", str(tmp_path / "a.jpg"), "open it", "--task", "affordance"]
    result = CliRunner().invoke(app, command)
    assert "knows simulated images only" in result.stderr
    assert "image statistics" not in result.stderr


def test_the_answer_is_in_pixels_of_the_image_and_drawn_on_it(tiny, image, tmp_path, completes):
    asked = completes(BOX)
    out = tmp_path / "overlay.png"
    output = run(tiny, image, "open it", "--task", "affordance", "--out", out)
    assert "the [knob] is there" in output  # not taken for markup
    assert "[16.0, 24.0, 32.0, 48.0]" in output
    assert "open it" in asked[0].text
    with Image.open(out) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    assert drawn.size == (640, 480)
    marked = (abs(pixels - ImageColor.getrgb(PREDICTION_STYLE.colour)).sum(axis=-1) < 30).nonzero()
    assert (marked[1].min(), marked[1].max()) == pytest.approx((160, 320), abs=12)
    assert marked[0].min() == pytest.approx(240, abs=12)


def test_only_one_json_object_is_printed(tiny, image, tmp_path, completes):
    completes(BOX)
    out = tmp_path / "overlay.png"
    record = json.loads(run(tiny, image, "open it", "--task", "affordance", "--json", "--out", out))
    assert record["answer"] == [16, 24, 32, 48]
    assert (record["image_size"], record["well_formed"]) == ([64, 48], True)
    assert record["reasoning"] == "the [knob] is there"
    assert out.is_file()


def test_an_image_with_exif_orientation_is_rotated_upright(tiny, tmp_path, completes):
    image = Image.new("RGB", (64, 48), "red")
    image.paste("blue", (0, 0, 32, 48))  # left half, which comes to lie on top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    path = tmp_path / "photo.png"
    path.write_bytes(buffer.getvalue())
    asked = completes("<think>a</think><answer>[0, 0, 1000, 500]</answer>")
    record = json.loads(run(tiny, path, "touch the blue", "--task", "affordance", "--json"))
    assert record["image_size"] == [48, 64]
    assert record["answer"] == [0, 0, 48, 32]
    with Image.open(io.BytesIO(asked[0].image)) as seen:
        assert seen.size == (48, 64)
        assert seen.convert("RGB").getpixel((24, 10)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tiny}", "gone.png", "open it"], "gone.png cannot be read"),
        (["{tiny}", "{text}", "open it"], "is damaged or not one of PNG, JPEG, WEBP"),
        (["{tiny}", "{image}", " "], "the instruction is empty"),
        (["nowhere/at/all/here", "{image}", "open it"], "no such folder"),
        (["{tiny}", "{image}", "open it", "--out", "no/folder/o.png"], "cannot be written"),
        (["{tiny}", "{image}", "open it", "--family", "x"], "unknown model family 'x'"),
    ],
)
def test_invalid_input_is_a_one_line_error(
    tiny, image, tmp_path, monkeypatch, capsys, arguments, message
):
    text = tmp_path / "text.png"
    text.write_text("no image")
    names = {"tiny": tiny, "image": image, "text": text}
    filled = [argument.format(**names) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["maniplvm", "predict", *filled, "--task", "affordance"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_overlay_of_an_unknown_format_is_named(
    tiny, image, tmp_path, monkeypatch, capsys, completes
):
    completes(BOX)
    arguments = [str(tiny), str(image), "open it", "--task", "affordance"]
    monkeypatch.setattr(
        "sys.argv", ["maniplvm", "predict", *arguments, "--out", str(tmp_path / "o.nonsense")]
    )
    with pytest.raises(SystemExit):
        main()
    assert "o.nonsense: cannot be written" in capsys.readouterr().err
