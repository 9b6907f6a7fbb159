from pathlib import Path

import pytest

from maniplvm.data import open_dataset
from maniplvm.embedded import ModelShape, write_untrained_checkpoint
from maniplvm.embedded.pretraining import PretrainingDataset
from maniplvm.embedded.pretraining.build import tokenizer_corpus
from maniplvm.models import load_model

SHIPPED = Path(__file__).parents[3] / "datasets" / "sim-small"


@pytest.fixture(scope="session")
def dataset():
    samples = [
        sample
        for number, sample in enumerate(open_dataset(SHIPPED).samples("adapt_test"))
        if number < 96
    ]
    return PretrainingDataset(samples)


@pytest.fixture(scope="session")
def untrained(dataset, tmp_path_factory):
    shape = ModelShape(vision_width=32, vision_depth=2, width=32, depth=2, heads=2, vocabulary=400)
    return write_untrained_checkpoint(
        tmp_path_factory.mktemp("untrained"), tokenizer_corpus(dataset), shape, seed=1
    )


@pytest.fixture
def loaded(untrained):
    return load_model(untrained, dtype="float32", device="cpu")
