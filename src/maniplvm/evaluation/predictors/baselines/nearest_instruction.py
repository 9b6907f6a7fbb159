"""The answer to the most alike instruction: what words alone are worth."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from maniplvm.evaluation.predictors.baselines.answering import best_answer
from maniplvm.evaluation.predictors.baselines.fitted import TaughtBaseline
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks import Sample, Task

_WORD = re.compile(r"\w+")
_EQUAL = 1e-9
"""Similarities this near to the best count as equal: the order of sums must not decide."""


class NearestInstructionBaseline(TaughtBaseline):
    """The target of the taught sample whose instruction is nearest to the one asked.

    Instructions are bags of lower-case words, weighted by TF-IDF over the distinct instructions
    of the task (idf `ln((1 + N) / (1 + df)) + 1`), and compared by cosine. Targets are carried
    over as shares of the image's sides. Where several samples are equally near, such as views
    with the same instruction, the answer is the best single one to all of them, as in
    `ConstantBaseline`; an instruction without any known word is as near to all.
    """

    def __init__(self, data: str, split: str) -> None:
        """Name a teaching split.

        Args:
            data: A stored data set.
            split: Its split.
        """
        super().__init__(data, split)
        self._answers: dict[tuple[Task, str], FloatArray] = {}

    @property
    def name(self) -> str:
        """As on the command line."""
        return "baseline:nearest-instruction"

    def _answer(self, sample: Sample) -> FloatArray | None:
        key = (sample.task, sample.instruction)
        if key not in self._answers and sample.task in self._taught:
            taught, index = self._taught[sample.task]
            nearest = index.nearest(sample.instruction)
            targets = [target for place in nearest for target in taught[place]]
            self._answers[key] = best_answer(sample.task, targets)
        return self._answers.get(key)

    @cached_property
    def _taught(self) -> dict[Task, tuple[list[list[FloatArray]], InstructionIndex]]:
        """By task: the targets of every distinct instruction, and the instructions."""
        targets: dict[Task, dict[str, list[FloatArray]]] = {}
        for sample, shares in self._lessons():
            targets.setdefault(sample.task, {}).setdefault(sample.instruction, []).append(shares)
        return {
            task: (list(own.values()), InstructionIndex(list(own))) for task, own in targets.items()
        }


class InstructionIndex:
    """Instructions that can be asked for the nearest ones."""

    def __init__(self, instructions: Sequence[str]) -> None:
        """Weigh the words.

        Args:
            instructions: N distinct ones, at least one.
        """
        self._count = len(instructions)
        bags = [Counter(_words(instruction)) for instruction in instructions]
        holders = Counter(word for bag in bags for word in bag)
        self._idf = {
            word: math.log((1 + self._count) / (1 + held)) + 1 for word, held in holders.items()
        }
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for place, bag in enumerate(bags):
            for word, weight in self._direction(bag).items():
                self._postings.setdefault(word, []).append((place, weight))

    def similarities(self, instruction: str) -> FloatArray:
        """`(N,)` cosines with an instruction, 0 to 1; its unknown words are passed over."""
        cosines = np.zeros(self._count)
        for word, weight in self._direction(Counter(_words(instruction))).items():
            places, own = zip(*self._postings[word], strict=True)
            cosines[list(places)] += weight * np.array(own)
        return cosines

    def nearest(self, instruction: str) -> list[int]:
        """The places of all that are as near as the nearest, in order."""
        cosines = self.similarities(instruction)
        return np.flatnonzero(cosines >= cosines.max() - _EQUAL).tolist()

    def _direction(self, bag: Mapping[str, int]) -> dict[str, float]:
        """A bag's weights, of length 1."""
        weights = {word: n * self._idf[word] for word, n in bag.items() if word in self._idf}
        length = math.hypot(*weights.values())
        return {word: weight / length for word, weight in weights.items()}


def _words(instruction: str) -> list[str]:
    return _WORD.findall(instruction.lower())
