"""Completions with every kind of score, for the reward functions of the engines."""

import numpy as np

from maniplvm.tasks import write_completion
from tests.evaluation.scenery import SIZE, answer_text, small_set

TEXTS = ["", "no answer", answer_text([1, 2, 30, 40]), answer_text([[1, 2], [9, 9], [30, 30]])]


def completions(spec):
    """Samples with reference completions, near misses and texts without an answer."""
    rng = np.random.default_rng(0)
    for each in small_set():
        frame = spec.bind(SIZE)
        yield each, write_completion(each.target, frame, "the handle")
        points = np.clip(each.target.points + rng.normal(0, 3, each.target.points.shape), 0, 47)
        numbers = frame.encode(np.sort(points, axis=0))
        yield each, answer_text((numbers.reshape(-1) if len(numbers) == 2 else numbers).tolist())
        for text in TEXTS:
            yield each, text
