import importlib.util
import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from maniplvm.cli.execute import execute
from maniplvm.data import write_dataset
from maniplvm.errors import UserError
from maniplvm.tasks import BoxTarget, Task
from tests.cli.images import png

pytestmark = [
    pytest.mark.sim,
    pytest.mark.skipif(importlib.util.find_spec("metaworld") is None, reason="needs the sim extra"),
]

app = typer.Typer()
app.command()(execute)
run = CliRunner().invoke


@pytest.fixture(scope="module")
def trace():
    from maniplvm.simulation.worlds import load_world
    from tests.simulation.execution.conftest import demonstrated_sample

    sample = demonstrated_sample(load_world("metaworld"), "button-press-topdown-v3", 0)
    return replace(sample, id="press", image=png(192, 192))


@pytest.fixture
def data(tmp_path, trace):
    box = replace(trace, id="button", task=Task.AFFORDANCE, target=BoxTarget([10, 10, 40, 40]))
    unknown = replace(trace, id="elsewhere", provenance={})
    folder = tmp_path / "data"
    samples = [box, trace, replace(trace, id="again"), unknown]
    write_dataset(folder, samples, name="buttons")
    return folder


def written(tmp_path, texts):
    path = tmp_path / "predictions.jsonl"
    lines = [json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items()]
    path.write_text("".join(lines))
    return path


def answer(trace):
    points = json.dumps(trace.target.points.tolist())
    return f"<think>down</think><answer>{points}</answer>"


def test_traces_are_executed_and_every_result_is_written(tmp_path, data, trace):
    path = written(
        tmp_path, {"press": answer(trace), "button": "[1, 2, 3, 4]", "again": "I would press it"}
    )
    out = tmp_path / "outcomes.jsonl"
    result = run(
        app, ["--data", str(data), "--predictions", str(path), "--workers", "1", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    press, again = (json.loads(line) for line in out.read_text().splitlines())
    assert (press["id"], press["success"], press["reason"]) == ("press", True, "solved")
    assert (again["id"], again["success"], again["reason"]) == ("again", False, "invalid")
    assert "0.500" in result.output
    assert "1 predictions answer affordance samples" in result.output


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"button": "[1, 2, 3, 4]"}, "nothing to execute"),
        ({"elsewhere": "[[1, 2], [3, 4], [5, 6]]"}, "does not come from simulation"),
        ({"nobody": "[[1, 2], [3, 4], [5, 6]]"}, "nobody"),
    ],
)
def test_predictions_that_cannot_be_executed_are_a_one_line_error(tmp_path, data, texts, message):
    with pytest.raises(UserError, match=message):
        execute(data=data, predictions=written(tmp_path, texts), workers=1)


def test_an_unwritable_file_is_an_error_before_any_execution(tmp_path, data, trace):
    path = written(tmp_path, {"press": answer(trace)})
    with pytest.raises(UserError, match=r"outcomes\.jsonl: cannot be written"):
        execute(data=data, predictions=path, out=tmp_path / "no" / "outcomes.jsonl")


def test_an_unknown_frame_is_a_one_line_error(tmp_path, data, trace):
    with pytest.raises(UserError, match="prediction press"):
        execute(
            data=data,
            predictions=written(tmp_path, {"press": answer(trace)}),
            frame="polar",
            workers=1,
        )
