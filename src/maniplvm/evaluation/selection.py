"""Which samples are evaluated, and with which instructions."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maniplvm.data import limit_samples
from maniplvm.data.store import Dataset
from maniplvm.errors import UserError
from maniplvm.tasks import Sample


@dataclass(frozen=True)
class Selection:
    """Which samples of a data set are evaluated.

    Attributes:
        splits: The names of the splits; None takes all.
        task: The only task; None takes all.
        limit: Maximum number of samples per task and split, in whole scenes, evenly over the
            categories.
        limit_seed: Seed of the choice of scenes under a limit.
    """

    splits: tuple[str, ...] | None = None
    task: str | None = None
    limit: int | None = None
    limit_seed: int = 0

    def samples(self, dataset: Dataset) -> list[Sample]:
        """The samples, without their images.

        Raises:
            UserError: an unknown split or task, or no sample is selected.
        """
        chosen = list[Sample]()
        for split in dict.fromkeys(self.splits or dataset.splits):
            own = list(dataset.samples(split, self.task, images=False))
            if self.limit is not None:
                own = limit_samples(own, self.limit, self.limit_seed)
            chosen += own
        if not chosen:
            raise UserError(
                f"{dataset.folder}: no sample is selected; choose other splits, another task or a "
                "larger limit"
            )
        return chosen


def data_digest(dataset: Dataset) -> str:
    """A digest of a data set: of its description and the sizes of its files."""
    digest = hashlib.sha256((dataset.folder / "dataset.json").read_bytes())
    for path in sorted(dataset.folder.glob("*.parquet")):
        digest.update(f"{path.name}:{path.stat().st_size}".encode())
    return f"{dataset.info.name} {digest.hexdigest()[:12]}"


def wrong_instructions(samples: Sequence[Sample], seed: int) -> Mapping[str, str]:
    """An instruction of another category for each sample, as a control experiment.

    A policy that uses the instruction scores lower with it. A policy that uses only the image does
    not. The other category is drawn uniformly from the same split, then one of its instructions.
    Both depend only on the seed and the sample's id.

    Args:
        samples: All selected samples.
        seed: The same seed gives the same instructions.

    Returns:
        Instructions by the samples' ids.

    Raises:
        UserError: a split has samples of one category only.
    """
    by_split: dict[str, dict[str, set[str]]] = {}
    for sample in samples:
        by_category = by_split.setdefault(sample.split, {})
        by_category.setdefault(sample.category or "", set()).add(sample.instruction)
    wrong: dict[str, str] = {}
    for sample in samples:
        own = by_split[sample.split][sample.category or ""]
        others = [
            sorted(instructions - own)
            for name, instructions in sorted(by_split[sample.split].items())
            if name != (sample.category or "") and instructions - own
        ]
        if not others:
            raise UserError(
                f"--wrong-instruction: split {sample.split} has one category only, so there is "
                "no other instruction; choose another split"
            )
        rng = np.random.default_rng([seed, zlib.crc32(sample.id.encode())])
        instructions = others[rng.integers(len(others))]
        wrong[sample.id] = instructions[rng.integers(len(instructions))]
    return wrong
