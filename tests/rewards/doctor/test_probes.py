"""The probes match their descriptions, and their scores are aggregated correctly."""

import math

import numpy as np
import pytest

from maniplvm.geometry import resolve_frame
from maniplvm.rewards.doctor.probe_scores import paired_difference, score_probe
from maniplvm.rewards.doctor.probes import LEVELS, Probe, ProbeKind, answer_probes
from maniplvm.tasks import BoxTarget, Sample, Task, parse_answer
from tests.rewards.doctor.fixtures import LARGE, TINY, make_boxes, make_traces, run_doctor


def probes_of(samples: list[Sample], kind: ProbeKind, seed: int = 0) -> list[Probe]:
    frames = [resolve_frame("unit", sample.image_size) for sample in samples]
    probes = answer_probes(samples, frames, np.random.default_rng(seed))
    return [probe for probe in probes if probe.kind is kind]


def displacements(probe: Probe, samples: list[Sample]) -> np.ndarray:
    """Displacements of the points of each text, `(K, N)` [% of the diagonal]."""
    moved = list[np.ndarray]()
    for text, index in zip(probe.texts, probe.sample_indices, strict=True):
        sample = samples[index]
        frame = resolve_frame("unit", sample.image_size)
        value = parse_answer(text, sample.task, frame).value
        assert value is not None
        assert (value >= 0).all()
        assert (value.reshape(-1, 2) <= np.array(sample.image_size) + 1e-9).all()
        gap = value.reshape(-1, 2) - sample.target.points
        moved.append(np.hypot(gap[:, 0], gap[:, 1]) / sample.diagonal * 100)
    return np.stack(moved)


@pytest.mark.parametrize("samples", [make_boxes(LARGE, 16), make_traces(16, points=5)])
def test_offsets_have_the_size_of_their_level_and_stay_inside_the_image(
    samples: list[Sample],
) -> None:
    probes = probes_of(samples, ProbeKind.OFFSET)
    assert tuple(probe.level for probe in probes) == LEVELS
    for probe in probes:
        assert displacements(probe, samples) == pytest.approx(probe.level, abs=0.11)


def test_noise_has_the_size_of_its_level() -> None:
    samples = make_traces(40, points=8)
    for probe in probes_of(samples, ProbeKind.NOISE)[:4]:
        assert probe.level is not None
        rms = float(np.sqrt((displacements(probe, samples) ** 2).mean()))
        assert rms == pytest.approx(probe.level, rel=0.1, abs=0.05)


def test_a_note_reports_a_target_without_room_for_large_offsets() -> None:
    wall = BoxTarget([5, 5, 635, 475])
    samples = [Sample(f"w-{i}", Task.AFFORDANCE, "push", (640, 480), wall) for i in range(3)]
    diagnosis = run_doctor(samples, "paper")
    assert [probe.level for probe in diagnosis.of(ProbeKind.OFFSET)] == [0.5]
    assert any("20 % of the diagonal" in note for note in diagnosis.notes)


def test_a_term_of_the_preset_paper_follows_its_formula_at_each_offset() -> None:
    for probe in run_doctor(make_traces(), "paper").of(ProbeKind.OFFSET):
        assert probe.level is not None
        for name in ("dfd", "hd", "rmse", "end"):
            assert probe.terms[name] == pytest.approx(math.exp(-probe.level / 10), abs=0.01)


def test_other_sample_targets_belong_to_other_samples() -> None:
    samples = make_boxes(LARGE, 5)
    (probe,) = probes_of(samples, ProbeKind.OTHER)
    assert (displacements(probe, samples) > 0.5).any(axis=1).all()


def test_the_same_seed_gives_the_same_diagnosis() -> None:
    samples = make_traces(20)
    first, second = (run_doctor(samples, "paper", seed=7).to_json() for _ in range(2))
    assert first == second
    assert first != run_doctor(samples, "paper", seed=8).to_json()


def test_the_paired_difference_without_a_common_sample_is_zero() -> None:
    assert paired_difference(np.array([1.0, np.nan]), np.array([np.nan, 2.0])) == (0.0, 0.0)
    assert paired_difference(np.array([1.0, np.nan]), np.array([1.5, 2.0])) == (0.5, 0.0)


def test_a_reward_without_or_with_only_a_format_term_can_be_scored() -> None:
    probe = Probe(ProbeKind.TARGET, "target", ("a", "b"), (0, 0))
    samples = make_boxes(TINY, 2)
    bare = score_probe(probe, samples, lambda texts, _: [{"iou": 0.5}, {"iou": 1.0}])
    assert bare.task[0] == bare.total[0] == 0.75
    assert np.isnan(bare.total[1])
    only_format = score_probe(probe, samples, lambda texts, _: [{"format": 1.0}] * 2)
    assert only_format.task[0] == 0.0
