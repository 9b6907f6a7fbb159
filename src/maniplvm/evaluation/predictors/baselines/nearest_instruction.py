"""The nearest-instruction baseline: the score that the instruction alone allows."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from maniplvm.evaluation.predictors.baselines.fitted import (
    FittedBaseline,
    best_answer,
)
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Sample, Task

_WORD = re.compile(r"\w+")
_TOLERANCE = 1e-9
"""Similarities this close to the best count as equal, so that rounding does not decide."""


class NearestInstructionBaseline(FittedBaseline):
    """The target of the sample in a split whose instruction is nearest.

    Instructions are bags of lower-case words with TF-IDF weights over the distinct instructions of
    the task (idf `ln((1 + N) / (1 + df)) + 1`). Nearest means the cosine similarity. Targets are
    transferred as fractions of the image's sides. If several samples are equally near, such as
    views with the same instruction, the answer is `best_answer` of all of them. An instruction
    without any known word is equally near to all.
    """

    def __init__(self, data: str, split: str) -> None:
        """Set the split to fit to.

        Args:
            data: A stored data set.
            split: The name of its split.
        """
        super().__init__(data, split)
        self._answers: dict[tuple[Task, str], FloatArray] = {}

    @property
    def name(self) -> str:
        """The name on the command line."""
        return "baseline:nearest-instruction"

    def _answer(self, sample: Sample) -> FloatArray | None:
        key = (sample.task, sample.instruction)
        if key not in self._answers and sample.task in self._by_task:
            targets, index = self._by_task[sample.task]
            nearest = index.nearest(sample.instruction)
            own = [target for position in nearest for target in targets[position]]
            self._answers[key] = best_answer(sample.task, own)
        return self._answers.get(key)

    @cached_property
    def _by_task(self) -> dict[Task, tuple[list[list[FloatArray]], InstructionIndex]]:
        """For each task, the targets of every distinct instruction, and the instructions."""
        targets: dict[Task, dict[str, list[FloatArray]]] = {}
        for sample, target in self._targets():
            targets.setdefault(sample.task, {}).setdefault(sample.instruction, []).append(target)
        return {
            task: (list(own.values()), InstructionIndex(list(own))) for task, own in targets.items()
        }


class InstructionIndex:
    """A TF-IDF index of instructions for nearest-neighbour search."""

    def __init__(self, instructions: Sequence[str]) -> None:
        """Compute the weights of all words.

        Args:
            instructions: N distinct instructions, at least one.
        """
        self._count = len(instructions)
        bags = [Counter(_words(instruction)) for instruction in instructions]
        frequencies = Counter(word for bag in bags for word in bag)
        self._idf = {
            word: math.log((1 + self._count) / (1 + df)) + 1 for word, df in frequencies.items()
        }
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for position, bag in enumerate(bags):
            for word, weight in self._weights(bag).items():
                self._postings.setdefault(word, []).append((position, weight))

    def similarities(self, instruction: str) -> FloatArray:
        """`(N,)` cosine similarities with an instruction, 0 to 1; unknown words are ignored."""
        cosines = np.zeros(self._count)
        for word, weight in self._weights(Counter(_words(instruction))).items():
            positions, own = zip(*self._postings[word], strict=True)
            cosines[list(positions)] += weight * np.array(own)
        return cosines

    def nearest(self, instruction: str) -> list[int]:
        """The indices of the nearest instructions, several if they are equally near, in order."""
        cosines = self.similarities(instruction)
        return np.flatnonzero(cosines >= cosines.max() - _TOLERANCE).tolist()

    def _weights(self, bag: Mapping[str, int]) -> dict[str, float]:
        """The TF-IDF weights of a bag of words, normalised to length 1."""
        weights = {word: n * self._idf[word] for word, n in bag.items() if word in self._idf}
        length = math.hypot(*weights.values())
        return {word: weight / length for word, weight in weights.items()}


def _words(instruction: str) -> list[str]:
    return _WORD.findall(instruction.lower())
