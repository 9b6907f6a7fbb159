"""The speed-up of `score_batch` over public packages that score one pair at a time.

Run by `make bench`. Both implementations parse the same completions and compute the same five terms.
They alternate in one run, and the median of the ratios is reported. Writes results/rewards_speed.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy
import similaritymeasures
from scipy.spatial.distance import directed_hausdorff

from maniplvm.rewards import score_batch
from maniplvm.tasks import Sample, Task, TraceTarget

SEED = 0
POINTS = 8
SIZE = (640, 480)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def make_pairs(count: int) -> tuple[list[str], list[Sample]]:
    """Random targets with eight points, and a completion with noise for each."""
    rng = np.random.default_rng(SEED)
    texts, samples = [], []
    for index in range(count):
        target = rng.uniform(20, 460, (POINTS, 2))
        predicted = np.clip(target + rng.normal(0, 30, target.shape), 0, 480).round(1)
        samples.append(Sample(str(index), Task.TRAJECTORY, "move", SIZE, TraceTarget(target)))
        texts.append(f"<think>go there</think><answer>{predicted.tolist()}</answer>")
    return texts, samples


def reference(texts: Sequence[str], samples: Sequence[Sample]) -> list[float]:
    """One pair at a time: a regular expression, similaritymeasures, SciPy and np.interp."""
    diagonal = float(np.hypot(*SIZE))
    totals = []
    for text, sample in zip(texts, samples, strict=True):
        assert isinstance(sample.target, TraceTarget)
        answer = text.split("<answer>")[1].split("</answer>")[0]
        p = np.array([float(number) for number in _NUMBER.findall(answer)]).reshape(-1, 2)
        q = sample.target.points
        hausdorff = max(directed_hausdorff(p, q)[0], directed_hausdorff(q, p)[0])
        rmse = np.sqrt(((along_arc(p) - along_arc(q)) ** 2).sum(axis=1).mean())
        distances = (
            similaritymeasures.frechet_dist(p, q),
            hausdorff,
            rmse,
            np.linalg.norm(p[-1] - q[-1]),
        )
        totals.append(1.0 + sum(float(np.exp(-10 * d / diagonal)) for d in distances))
    return totals


def along_arc(trace: np.ndarray, points: int = 20) -> np.ndarray:
    """Equal-arc resampling by np.interp."""
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(trace, axis=0), axis=1))])
    wanted = np.linspace(0, arc[-1], points)
    return np.stack([np.interp(wanted, arc, axis) for axis in trace.T], axis=1)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Time of one call, averaged over `repeats`."""
    start = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start) / repeats


def compare(batch: int, rounds: int) -> dict[str, float]:
    """The ratio at one batch size, with both times per pair."""
    texts, samples = make_pairs(batch)
    ours = [score.total for score in score_batch(texts, samples)]
    theirs = reference(texts, samples)
    difference = float(np.abs(np.array(ours) - np.array(theirs)).max())
    repeats = max(1, 256 // batch)
    pairs = [
        (
            seconds(lambda: reference(texts, samples), max(1, repeats // 4)),
            seconds(lambda: score_batch(texts, samples), repeats),
        )
        for _ in range(rounds)
    ]
    return {
        "ratio": round(statistics.median(slow / fast for slow, fast in pairs), 2),
        "reference_us_per_pair": round(min(slow for slow, _ in pairs) / batch * 1e6, 2),
        "score_batch_us_per_pair": round(min(fast for _, fast in pairs) / batch * 1e6, 2),
        "largest_difference": difference,
    }


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/rewards_speed.json"))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    compare(8, 1)  # warm-up
    result = {f"batch_{batch}": compare(batch, arguments.rounds) for batch in (512, 64, 8, 1)}
    report = {
        "what": "score_batch, parsing included, against one pair at a time with "
        "similaritymeasures + scipy + numpy, parsing included",
        "command": "python benchmarks/rewards_speed.py",
        "seed": SEED,
        "points": POINTS,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "similaritymeasures": similaritymeasures.__version__,
        },
        **result,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
