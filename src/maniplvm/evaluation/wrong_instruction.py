"""A control: every sample is asked with the instruction of another category.

A policy that reads what it is told must lose by it; one that answers from the image alone will not.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from maniplvm.errors import UserError
from maniplvm.tasks import Sample


def wrong_instructions(samples: Sequence[Sample], seed: int) -> Mapping[str, str]:
    """An instruction of another category for each sample.

    The other category is drawn first, each with the same chance, then one of its instructions;
    both from the seed and the sample's id alone. Instructions come from the same split.

    Args:
        samples: All that are asked.
        seed: The same seed gives the same instructions.

    Returns:
        Instructions by the samples' ids.

    Raises:
        UserError: a split whose samples are all of one category.
    """
    offered: dict[str, dict[str, set[str]]] = {}
    for sample in samples:
        by_category = offered.setdefault(sample.split, {})
        by_category.setdefault(sample.category or "", set()).add(sample.instruction)
    wrong: dict[str, str] = {}
    for sample in samples:
        own = offered[sample.split][sample.category or ""]
        others = [
            sorted(said - own)
            for name, said in sorted(offered[sample.split].items())
            if name != (sample.category or "") and said - own
        ]
        if not others:
            raise UserError(
                f"--wrong-instruction: split {sample.split} holds one category only, so there is "
                "no other instruction; choose another split"
            )
        rng = np.random.default_rng([seed, zlib.crc32(sample.id.encode())])
        said = others[rng.integers(len(others))]
        wrong[sample.id] = said[rng.integers(len(said))]
    return wrong
