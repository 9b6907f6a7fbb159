"""Folders for all tests of the report, from a few scenes of the shipped dataset."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from maniplvm.data import open_dataset
from tests.evaluation.report.folders import write_evaluation, write_run

DATA = Path(__file__).parents[3] / "datasets" / "sim-small"
SCENES = {"adapt_test": 40, "id_test": 40}
HOSTILE = (
    '</pre></script><img src=x onerror="alert(1)"><script>alert(2)</script>{{ 7 * 7 }}\x00\u202e'
)


@dataclass(frozen=True)
class Folders:
    """All input folders of a report. Metrics improve on adapt_test and get worse on id_test."""

    data: Path
    samples: list
    before: Path
    after: Path
    control: Path
    sampled_before: Path
    sampled_after: Path
    run: Path
    hostile: str


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    dataset = open_dataset(DATA)
    samples = [
        sample
        for split, count in SCENES.items()
        for sample in list(dataset.samples(split, images=False))[:count]
    ]
    few = samples[:16]
    hostile = samples[0].id
    before, after = (
        {"adapt_test": 0.25, "id_test": 0.02},
        {"adapt_test": 0.03, "id_test": 0.2},
    )
    texts = {hostile: HOSTILE}
    return Folders(
        DATA,
        samples,
        write_evaluation(root / "before", samples, lambda s: before[s.split], 1),
        write_evaluation(
            root / "after", samples, lambda s: after[s.split], 2, model="runs/q/model", texts=texts
        ),
        write_evaluation(root / "control", samples, 0.1, 3, model="runs/sft/model"),
        write_evaluation(root / "sampled-before", few, 0.2, 4, draws=2),
        write_evaluation(root / "sampled-after", few, 0.1, 5, draws=2),
        write_run(root / "run"),
        hostile,
    )
