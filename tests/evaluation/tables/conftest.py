"""Evaluations of baselines on a small data set, made once."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from maniplvm.evaluation import ConstantBaseline, Outcome, RandomBaseline, Selection, evaluate
from maniplvm.evaluation.records import read_samples
from maniplvm.tasks import BoxTarget, Task, TraceTarget
from tests.evaluation.scenery import BOX, TRACE, Counting, right, small_set, stored

SPLITS = ("train", "id_test", "ood_tasks")


def moved(sample):
    """Targets that differ from scene to scene, so that a constant is sometimes wrong."""
    shift = 3.0 * sample.provenance["seed"] + (8.0 if sample.category == "close" else 0.0)
    if sample.task is Task.AFFORDANCE:
        return replace(sample, target=BoxTarget(np.array(BOX) + shift))
    return replace(sample, target=TraceTarget(np.array(TRACE) + [shift, shift / 2]))


def half_right(sample):
    return right(sample) if sample.provenance["seed"] % 2 else "I cannot see it."


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    """The data, and folders of `constant`, `random` and `half` (half of its answers unreadable)."""
    root = tmp_path_factory.mktemp("tables")
    data = stored(root / "data", [moved(each) for each in small_set(SPLITS)])
    own = Selection(("id_test", "ood_tasks"))
    made = SimpleNamespace(root=root, data=data)
    for name, predictor in (
        ("constant", ConstantBaseline(str(data), "train")),
        ("random", RandomBaseline(0)),
        ("half", Counting(half_right)),
    ):
        evaluate(predictor, data, root / name, selection=own)
        setattr(made, name, root / name)
    return made


@pytest.fixture
def executed(made, tmp_path):
    """Two copies of `constant` whose traces were executed: none solves in one, all in the other."""
    folders = []
    for name, success in (("failed", False), ("solved", True)):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("settings.json", "evaluation.json"):
            (folder / file).write_bytes((made.constant / file).read_bytes())
        lines = [
            replace(
                each,
                execution=Outcome(success, name) if each.task is Task.TRAJECTORY else None,
            ).to_line()
            for each in read_samples(made.constant)
        ]
        (folder / "samples.jsonl").write_text("".join(lines))
        folders.append(folder)
    return folders
