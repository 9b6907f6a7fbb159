"""Samples with known targets, and correct and faulty rewards to check on them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from maniplvm.rewards import PRESETS, Preset, score_batch
from maniplvm.rewards.doctor.diagnose import Diagnosis, diagnose, diagnose_scorer
from maniplvm.rewards.doctor.diagnostics import IssueKind
from maniplvm.rewards.doctor.probe_scores import Scorer
from maniplvm.tasks import BoxTarget, Sample, Task, TraceTarget

REPOSITORY = Path(__file__).resolve().parents[3]
PUBLISHED = REPOSITORY / "docs" / "examples" / "published-constants.yaml"

TINY, LARGE = (20.0, 15.0), (96.0, 72.0)
Terms = dict[str, float]


def make_boxes(side: tuple[float, float], count: int = 20, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    samples = list[Sample]()
    for index in range(count):
        extent = np.array(side) * rng.uniform(0.75, 1.35, 2)
        corner = rng.uniform(0.08, 0.92, 2) * (np.array([640.0, 480.0]) - extent)
        target = BoxTarget([*corner, *(corner + extent)])
        samples.append(Sample(f"box-{index}", Task.AFFORDANCE, "grasp it", (640, 480), target))
    return samples


def make_traces(
    count: int = 20, seed: int = 0, size: tuple[int, int] = (640, 480), points: int | None = None
) -> list[Sample]:
    rng = np.random.default_rng(seed)
    samples = list[Sample]()
    for index in range(count):
        length = int(rng.integers(3, 9)) if points is None else points
        start, end = rng.uniform(0.12, 0.88, (2, 2)) * size
        way = start + np.linspace(0.0, 1.0, length)[:, None] * (end - start)
        way = np.clip(way + rng.normal(0.0, 0.012 * size[0], way.shape), 0.0, size)
        target = TraceTarget(way)
        samples.append(Sample(f"trace-{index}", Task.TRAJECTORY, "move it", size, target))
    return samples


def preset_scorer(preset: str | Preset = "paper") -> Scorer:
    return lambda texts, samples: [score.terms for score in score_batch(texts, samples, preset)]


def changed(change: Callable[[Terms, str, Sample], Terms], preset: str = "paper") -> Scorer:
    """A preset whose terms `change` modifies for each text."""

    def scorer(texts: Sequence[str], samples: Sequence[Sample]) -> list[Mapping[str, float]]:
        scores = score_batch(texts, samples, preset)
        rows = zip(scores, texts, samples, strict=True)
        return [change(dict(score.terms), text, sample) for score, text, sample in rows]

    return scorer


def run_doctor(
    samples: Sequence[Sample], reward: str | Preset | Scorer, seed: int = 0
) -> Diagnosis:
    rng = np.random.default_rng(seed)
    if isinstance(reward, str):
        reward = PRESETS[reward]
    if isinstance(reward, Preset):
        return diagnose(samples, reward, rng)
    return diagnose_scorer(samples, reward, rng)


def issue_kinds(diagnosis: Diagnosis) -> list[IssueKind]:
    return [issue.kind for issue in diagnosis.issues]


def message(diagnosis: Diagnosis, kind: IssueKind) -> str:
    (issue,) = (each for each in diagnosis.issues if each.kind is kind)
    assert "\n" not in issue.message
    return issue.message
