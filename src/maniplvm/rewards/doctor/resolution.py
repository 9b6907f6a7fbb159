"""The same answers on the same images, larger: a reward in pixels gives itself away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import Frame
from maniplvm.rewards.doctor.probes import Probe, ProbeKind, answerable, wrap, write_points
from maniplvm.tasks.sample import BoxTarget, Sample, TraceTarget

ENLARGED = 4
"""How many times larger the images are made: from a thumbnail to a camera's image."""

SIZE_ERROR = 2.0
"""Error of the answers [% of the diagonal]: small, so that rewards of either size still pay."""


def resolution_probes(
    samples: Sequence[Sample], bind: Callable[[Sample], Frame]
) -> Iterator[tuple[Probe, list[Sample]]]:
    """The targets moved by `SIZE_ERROR` towards the middle, as they are and `ENLARGED` times larger.

    Args:
        samples: N samples of one task.
        bind: Gives the frame of a sample's image.

    Returns:
        Two pairs: the answers, and the samples that they belong to.
    """
    for factor in (1, ENLARGED):
        owners = [_enlarged(sample, factor) for sample in samples]
        texts = [wrap(write_points(_moved(owner), owner.task, bind(owner))) for owner in owners]
        name = f"offset {SIZE_ERROR:g} %, {factor} times the size"
        yield (
            Probe(ProbeKind.OFFSET, name, tuple(texts), tuple(range(len(owners))), SIZE_ERROR),
            owners,
        )


def _enlarged(sample: Sample, factor: int) -> Sample:
    width, height = sample.image_size
    target = sample.target
    larger = (
        BoxTarget(target.xyxy * factor)
        if isinstance(target, BoxTarget)
        else TraceTarget(target.points * factor)
    )
    return replace(sample, image_size=(width * factor, height * factor), target=larger)


def _moved(sample: Sample) -> FloatArray:
    """The target's points moved towards the image's middle; to the right from the middle."""
    points = answerable(sample)
    towards = np.array(sample.image_size) / 2.0 - (points.min(axis=0) + points.max(axis=0)) / 2.0
    distance = float(np.hypot(*towards))
    way = towards / distance if distance > 1e-6 * sample.diagonal else np.array([1.0, 0.0])
    return points + way * sample.diagonal * SIZE_ERROR / 100.0
