from pathlib import Path

import pytest

from maniplvm.data import open_dataset
from maniplvm.embedded import Shape, write_untrained
from maniplvm.embedded.pretraining import Lessons
from maniplvm.embedded.pretraining.corpus import corpus
from maniplvm.models import load_model

SHIPPED = Path(__file__).parents[3] / "datasets" / "sim-small"


@pytest.fixture(scope="session")
def lessons():
    samples = [
        sample
        for number, sample in enumerate(open_dataset(SHIPPED).samples("adapt_test"))
        if number < 96
    ]
    return Lessons(samples)


@pytest.fixture(scope="session")
def untrained(lessons, tmp_path_factory):
    shape = Shape(vision_width=32, vision_depth=2, width=32, depth=2, heads=2, vocabulary=400)
    return write_untrained(tmp_path_factory.mktemp("untrained"), corpus(lessons), shape, seed=1)


@pytest.fixture
def loaded(untrained):
    return load_model(untrained, dtype="float32", device="cpu")
