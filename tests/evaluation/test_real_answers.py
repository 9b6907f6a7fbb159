"""Real answers of published models, scored and drawn.

Their own answers and images are not part of this repository: without them this is skipped. The
targets are ours, drawn by eye on the images, so the figures below say that reading, scoring and
drawing work; they are no measurement of the models.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maniplvm.data import (
    PREDICTION_STYLE,
    TARGET_STYLE,
    Annotation,
    as_answer,
    contact_sheet,
    draw_answers,
    import_dataset,
    open_dataset,
)
from maniplvm.data.images import decode
from maniplvm.evaluation import FilePredictor, evaluate, read_samples, rescore
from maniplvm.tasks import Task
from tests.data.drawing.test_answers import near

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
pytestmark = pytest.mark.skipif(not REAL.exists(), reason="the real samples are not at hand")

TARGETS = {
    ("robobrain1", "affordance_1.jpg"): {"box": [279, 63, 342, 95]},
    ("robobrain1", "affordance_2.jpg"): {"box": [495, 88, 572, 138]},
    ("robobrain1", "trajectory_1.png"): {"trace": [[243, 140], [190, 165], [140, 195], [118, 225]]},
    ("robobrain1", "trajectory_2.png"): {"trace": [[112, 115], [170, 128], [230, 140], [265, 140]]},
    ("robobrain2", "affordance.jpg"): {"box": [552, 197, 628, 318]},
    ("robobrain2", "grounding.jpg"): {"box": [0, 190, 230, 640]},
    ("robobrain2", "trajectory.jpg"): {"trace": [[135, 118], [165, 98], [200, 82], [222, 72]]},
    ("robobrain2", "pointing.jpg"): {"boxes": [[300, 260, 455, 370]]},
}
TASK_OF = {"box": "affordance", "trace": "trajectory", "boxes": "pointing"}
R1_BOXES = {"hammer": [0, 274, 522, 786], "knife2": [415, 3, 755, 306], "mug": [570, 182, 810, 630]}


def robobrain(model):
    """Records of our exchange format, and lines of a predictions file."""
    for item in json.loads((REAL / model / "expected.json").read_text())["items"]:
        target = TARGETS.get((model, item["image"]))
        if target is None:
            continue
        name = f"{model}/{item['image']}"
        (shape,) = target
        record = {
            "id": name,
            "task": TASK_OF[shape],
            "instruction": item["task"],
            "image": name,
            "category": model,
            "split": "test",
            **target,
        }
        text = item.get("answer") or json.dumps(item["prediction"])
        yield record, {"id": name, "text": text, "frame": model}


def affordance_r1(folder):
    """Three raw replies; their images are not at hand, so grey ones of 1024 px stand in."""
    for name, box in R1_BOXES.items():
        Image.new("RGB", (1024, 1024), (128, 128, 128)).save(folder / f"{name}.png")
        record = {
            "id": name,
            "task": "affordance",
            "instruction": f"hold the {name}",
            "image": f"{name}.png",
            "category": "affordance_r1",
            "split": "test",
            "box": box,
        }
        text = (REAL / "affordance_r1_outputs" / f"{name}.txt").read_text()
        yield record, {"id": name, "text": text, "frame": "pixels"}


def evaluated(tmp_path, pairs, images):
    records, predictions = zip(*pairs, strict=True)
    for name, lines in (("records", records), ("predictions", predictions)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)
    import_dataset("jsonl", tmp_path / "records.jsonl", tmp_path / "data", images=images)
    predictor = FilePredictor(tmp_path / "predictions.jsonl")
    return evaluate(predictor, tmp_path / "data", tmp_path / "out")


def test_published_answers_are_scored_under_two_protocols_and_drawn(tmp_path):
    own = evaluated(tmp_path, [*robobrain("robobrain1"), *robobrain("robobrain2")], REAL)
    tasks = own.splits["test"]
    assert [tasks[task].count for task in Task] == [4, 3, 1]
    assert all(tasks[task].parse_rate.mean == 1 for task in Task)
    assert tasks[Task.AFFORDANCE].strict["iou"].mean > 0.4
    assert tasks[Task.TRAJECTORY].strict["dfd_diagonal"].mean < 0.05
    assert tasks[Task.POINTING].strict["inside"].mean == 1

    results = rescore(tmp_path / "out", ["vabench", "sharerobot-bench"])
    vabench, sharerobot = (result.splits["test"] for result in results.values())
    assert vabench[Task.AFFORDANCE].strict["inside"].mean == 1  # every box's centre is right
    assert vabench[Task.TRAJECTORY].strict["mae"].mean < 15
    assert sharerobot[Task.TRAJECTORY].strict["dfd_unit"].mean < 0.1
    assert sharerobot[Task.AFFORDANCE].strict == {"iou": tasks[Task.AFFORDANCE].strict["iou"]}
    assert set(tasks[Task.AFFORDANCE].categories) == {"robobrain1", "robobrain2"}

    dataset = open_dataset(tmp_path / "data")
    samples, annotations = [], []
    for scored in read_samples(tmp_path / "out"):
        sample = dataset.sample(scored.id)
        answer = as_answer(scored.answer, sample.task)
        drawn = draw_answers(
            decode(sample.image),
            [(sample.target, TARGET_STYLE), (answer, PREDICTION_STYLE)],
            width=640,
        )
        path = tmp_path / f"{scored.id.replace('/', '-')}.png"
        drawn.save(path)
        with Image.open(path) as image:
            assert image.width == 640
            assert len(near(image.convert("RGB"), PREDICTION_STYLE, 60)) > 30
            assert len(near(image.convert("RGB"), TARGET_STYLE, 60)) > 30
        samples.append(sample)
        annotations.append(Annotation(scored.answer, f"reward {scored.reward:.2f}"))
    contact_sheet(samples, annotations=annotations).save(tmp_path / "overlays.png")


def test_raw_completions_with_unclosed_and_unknown_tags_are_scored_under_two_protocols(tmp_path):
    own = evaluated(tmp_path, affordance_r1(tmp_path), tmp_path)
    boxes = own.splits["test"][Task.AFFORDANCE]
    assert (boxes.parse_rate.mean, boxes.format_rate.mean) == (1, 0)
    assert boxes.strict["iou"].mean == 1
    (place,) = rescore(tmp_path / "out", ["point-in-mask"])
    points = {scored.id: scored.read_as for scored in read_samples(place)}
    assert points == {"hammer": [[25, 746]], "knife2": [[664, 66]], "mug": [[752, 314]]}
    assert np.mean([scored.measures["inside"] for scored in read_samples(place)]) == 1
