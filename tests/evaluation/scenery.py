"""Small data sets and completions with known answers."""

import json

from maniplvm.data import write_dataset
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget
from tests.cli.images import png

SIZE = (64, 48)  # its diagonal is 80 px
BOX = (10.0, 10.0, 30.0, 30.0)
TRACE = ((10.0, 10.0), (20.0, 20.0), (30.0, 10.0))


def sample(task, category="open", seed=0, view=0, split="id_test", **changes):
    settings = {
        "id": f"{split}/{category}/{seed}/{view}/{task}",
        "task": task,
        "instruction": f"{category} it, {'now' if seed % 2 else 'please'}",
        "image_size": SIZE,
        "target": BoxTarget(BOX) if task == Task.AFFORDANCE else TraceTarget(TRACE),
        "image": png(*SIZE, colour=(10 + 20 * seed, 100, 40 * view)),
        "split": split,
        "category": category,
        "scene": f"w/{category}/{seed}",
        "part": "the red handle",
        "provenance": {"seed": seed},
    }
    return Sample(**{**settings, **changes})


def small_set(splits=("id_test",), scenes=2):
    """Two categories, each with some scenes, two views and both tasks: 16 samples per split."""
    return [
        sample(task, category, seed, view, split)
        for split in splits
        for category in ("open", "close")
        for seed in range(scenes)
        for view in range(2)
        for task in (Task.AFFORDANCE, Task.TRAJECTORY)
    ]


def stored(folder, samples):
    write_dataset(folder, samples, name="small")
    return folder


def answer_text(numbers, reasoning="the handle"):
    return f"<think>{reasoning}</think><answer>{json.dumps(numbers)}</answer>"


def right(sample, reasoning="the handle"):
    box = sample.task is Task.AFFORDANCE
    points = sample.target.points.reshape(4) if box else sample.target.points
    return answer_text(points.tolist(), reasoning)


def predictions_file(path, texts):
    """Texts by id; a list holds several draws."""
    lines = [
        json.dumps({"id": name, "draw": draw, "text": text}) + "\n"
        for name, answers in texts.items()
        for draw, text in enumerate(answers if isinstance(answers, list) else [answers])
    ]
    path.write_text("".join(lines))
    return path


class Counting:
    """A predictor with fixed completions that records the samples it gets."""

    name = "counting"
    draws = 1

    def __init__(self, text=right, settings=None, stop_after=None):
        self._text, self.settings = text, settings or {"temperature": 0}
        self._stop_after = stop_after
        self.asked = []

    def predict(self, samples):
        from maniplvm.evaluation import Prediction

        for each in samples:
            if self._stop_after is not None and len(self.asked) == self._stop_after:
                raise KeyboardInterrupt
            assert each.image is not None
            self.asked.append(each)
            text = self._text(each) if callable(self._text) else self._text
            yield Prediction(each.id, text)
