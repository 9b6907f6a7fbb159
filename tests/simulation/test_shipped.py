import io
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

from maniplvm.data import open_dataset
from maniplvm.simulation.generation.plan import SPLITS
from maniplvm.simulation.labels.instructions import instructions
from maniplvm.simulation.provenance import Provenance
from maniplvm.tasks.sample import Task

pytestmark = pytest.mark.sim

FOLDER = Path(__file__).resolve().parents[2] / "datasets" / "sim-small"
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def samples():
    found = defaultdict(list)
    for sample in open_dataset(FOLDER).samples(images=False):
        found[sample.split].append(sample)
    return found


def scenes(samples):
    return {(sample.category, sample.provenance["seed"]) for sample in samples}


def test_it_is_small_enough_to_ship_and_has_all_splits(samples):
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 20_000_000
    assert list(samples) == list(SPLITS)


def test_no_scene_is_in_two_splits(samples):
    everywhere = [scene for split in samples.values() for scene in scenes(split)]
    assert len(everywhere) == len(set(everywhere))


def test_no_held_out_task_is_trained_on(samples):
    tasks = {name: {sample.category for sample in split} for name, split in samples.items()}
    assert tasks["train"] == tasks["id_test"] == set(SPLITS["train"].tasks)
    assert tasks["adapt"] == tasks["adapt_test"]
    for name in ("adapt", "ood_tasks", "ood_robot"):
        assert not tasks["train"] & tasks[name]
    assert not tasks["adapt"] & tasks["ood_tasks"]


def test_no_held_out_phrasing_is_in_a_training_split(samples):
    training = {s.instruction for name in ("train", "adapt") for s in samples[name]}
    for name in ("id_test", "adapt_test", "ood_tasks", "ood_robot"):
        held_out = {
            phrasing
            for sample in samples[name]
            for phrasing in instructions(sample.provenance["world"], sample.category).held_out
        }
        assert not training & held_out
        unseen = sum(sample.instruction in held_out for sample in samples[name])
        assert 0.35 < unseen / len(samples[name]) < 0.65


def test_every_sample_can_be_rebuilt_and_scored(samples):
    for split in samples.values():
        for box, trace in zip(split[::2], split[1::2], strict=True):
            assert (box.task, trace.task) == (Task.AFFORDANCE, Task.TRAJECTORY)
            record = Provenance.from_json(trace.provenance)
            assert (record.trace == trace.target.points).all()
            assert (
                3 <= len(record.trace) == len(record.waypoint_depths) == len(record.gripper) <= 10
            )
            assert record.camera.size == trace.image_size == box.image_size


def test_images_decode_to_their_size():
    for number, sample in enumerate(open_dataset(FOLDER).samples(split="ood_robot")):
        assert sample.image is not None
        assert Image.open(io.BytesIO(sample.image)).convert("RGB").size == sample.image_size
        if number == 20:
            break


def test_the_card_counts_what_is_there(samples):
    for name, split in samples.items():
        phrasings = len({sample.instruction for sample in split})
        tasks = len({sample.category for sample in split})
        row = [tasks, len(scenes(split)), len(split) // 2, len(split), phrasings]
        assert f"| {name} | {' | '.join(f'{count:,}' for count in row)} |" in CARD
