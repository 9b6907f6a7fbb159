"""Probes that detect rewards in pixels: the same answers on the same images, enlarged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.geometry.frames import Frame
from maniplvm.rewards.doctor.probes import Probe, ProbeKind, answerable, wrap, write_points
from maniplvm.tasks.sample import BoxTarget, Sample, TraceTarget

ENLARGED = 4
"""Scale factor of the enlarged images: from a thumbnail to a camera image."""

SIZE_ERROR = 2.0
"""Error of the answers [% of the diagonal]: small, so that both rewards are well above 0."""


def resolution_probes(
    samples: Sequence[Sample], bind: Callable[[Sample], Frame]
) -> Iterator[tuple[Probe, list[Sample]]]:
    """The targets moved by `SIZE_ERROR`, on the original and on the enlarged images.

    Args:
        samples: N samples of one task.
        bind: A function from a sample to the frame of its image.

    Yields:
        Two pairs of a probe and its N samples.
    """
    for factor in (1, ENLARGED):
        resized = [_enlarged(sample, factor) for sample in samples]
        texts = [wrap(write_points(_moved(each), each.task, bind(each))) for each in resized]
        name = f"offset {SIZE_ERROR:g} %, {factor} times the size"
        yield (
            Probe(ProbeKind.OFFSET, name, tuple(texts), tuple(range(len(resized))), SIZE_ERROR),
            resized,
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
    """The target's points moved towards the image centre, or right if they are at the centre."""
    points = answerable(sample)
    to_centre = np.array(sample.image_size) / 2.0 - (points.min(axis=0) + points.max(axis=0)) / 2.0
    distance = float(np.hypot(*to_centre))
    direction = to_centre / distance if distance > 1e-6 * sample.diagonal else np.array([1.0, 0.0])
    return points + direction * sample.diagonal * SIZE_ERROR / 100.0
