"""Results of several seeds: pooled means, paired differences and shortened learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from maniplvm.evaluation import TaskResult, read_evaluation, read_samples
from maniplvm.evaluation.protocols import resolve_protocol
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.evaluation.statistics.comparison import Difference, compare_runs
from maniplvm.tasks import Task


def paired_differences(
    runs: Sequence[tuple[Path, Path]],
) -> dict[str, dict[Task, dict[str, Difference]]]:
    """Paired differences over several runs; the bootstrap resamples runs and scenes.

    Args:
        runs: For each run, the evaluation folders before and after.

    Raises:
        UserError: a folder holds no finished evaluation.
    """
    return compare_runs([(read_samples(before), read_samples(after)) for before, after in runs])


def pooled_results(folders: Sequence[Path]) -> dict[str, dict[Task, TaskResult]]:
    """Means over several evaluations of one protocol, by split and task; intervals over scenes.

    Diversity compares the answers of a sample only within one seed.
    """
    protocol = resolve_protocol(read_evaluation(folders[0]).protocol)
    samples = [
        replace(sample, id=f"{sample.id}@{number}")
        for number, folder in enumerate(folders)
        for sample in read_samples(folder)
    ]
    return aggregate(samples, protocol)


def rounded(plain: Any, decimals: int = 5) -> Any:
    """JSON values with all floats rounded."""
    if isinstance(plain, float):
        return round(plain, decimals)
    if isinstance(plain, Mapping):
        return {name: rounded(value, decimals) for name, value in plain.items()}
    return [rounded(v, decimals) for v in plain] if isinstance(plain, list | tuple) else plain


def thinned(lines: Sequence[Mapping[str, float]], most: int = 40) -> list[dict[str, float]]:
    """A log shortened to at most `most` lines. Each line is the mean of a block of lines.

    `step` and `seconds` are those of the last line in the block.
    """
    size = -(-len(lines) // most) if lines else 1
    points = list[dict[str, float]]()
    for first in range(0, len(lines), size):
        block = lines[first : first + size]
        names = dict.fromkeys(name for line in block for name in line)
        means = {name: fmean(line[name] for line in block if name in line) for name in names}
        points.append(means | {name: block[-1][name] for name in ("step", "seconds")})
    return points
