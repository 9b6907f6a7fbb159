"""Measure how well execution separates good traces from bad ones, and its throughput.

Run: python benchmarks/execution.py --out results/execution.json --plot docs/images/execution_noise.png

Three steps. *Qualify*: execute the reference traces of the first scenes of every task. A task is
left out if its references succeed less often than `--least`. *Compare*: on further scenes of
`id_test`, compare the reference with noise, a straight line and another sample's trace of the same
task. *Throughput*: execute the same references again and measure the time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.data import open_dataset
from maniplvm.evaluation import bootstrap_mean
from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.execution import Execution, ExecutionJob, ExecutionPool
from maniplvm.simulation.generation.generate import generate
from maniplvm.simulation.generation.plan import Plan
from maniplvm.simulation.worlds import load_world
from maniplvm.tasks import Sample, TraceTarget

NOISE_PX = (1.0, 2.0, 4.0, 8.0, 16.0)
REFERENCE, LINE, OTHER = "reference", "straight_line", "other_trace"
OTHERS_EACH = 3
"""Number of other traces of the same task for each sample."""
QUALIFYING_SPLITS = ("id_test", "adapt_test", "ood_tasks", "ood_robot")
_SPARE = 1.3  # generated scenes per needed scene, because some have no usable view


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "scenes"
        generate(_plan(arguments), folder, name="execution benchmark", workers=arguments.workers)
        dataset = open_dataset(folder)
        by_split = {name: _by_task(dataset.samples(name, "trajectory")) for name in dataset.splits}
    started = time.perf_counter()
    with ExecutionPool(arguments.workers) as pool:
        qualified = {
            split: _qualify(pool, by_task, arguments) for split, by_task in by_split.items()
        }
        left_out = {
            task: row
            for rows in qualified.values()
            for task, row in rows.items()
            if row["success"] < arguments.least
        }
        compared = _comparison_samples(by_split["id_test"], left_out, arguments)
        outcomes = _compare(pool, compared, arguments.seed)
    report = {
        "command": ["python", *sys.argv],
        "seed": arguments.seed,
        "versions": dict(load_world("metaworld").versions())
        | dict(load_world("robosuite").versions()),
        "size_px": arguments.size,
        "least_reference_success": arguments.least,
        "qualifying": qualified,
        "left_out": left_out,
        "samples": sum(map(len, compared.values())),
        "tasks": len(compared),
        "variants": {name: _row(done.values()) for name, done in outcomes.items()},
        "reference_by_task": {
            task: _row([done]) for task, done in sorted(outcomes[REFERENCE].items())
        },
        "throughput": _throughput(compared, arguments.workers),
        "seconds": round(time.perf_counter() - started, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _plot(report, arguments.plot)
    for name, row in report["variants"].items():
        print(f"{name:24s} {row['success']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    print(f"left out: {', '.join(left_out) or 'none'}; {report['throughput']}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/execution.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/execution_noise.png"))
    parser.add_argument(
        "--qualifying", type=int, default=20, help="scenes per task for the first step"
    )
    parser.add_argument("--per-task", type=int, default=12, help="further scenes per task")
    parser.add_argument(
        "--least", type=float, default=0.7, help="minimum success rate of references"
    )
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--seed", type=int, default=90)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _plan(arguments: argparse.Namespace) -> Plan:
    needed: dict[str, int] = dict.fromkeys(QUALIFYING_SPLITS, int(arguments.qualifying))
    needed["id_test"] += arguments.per_task
    scenes = {name: int(np.ceil(count * _SPARE)) for name, count in needed.items()}
    return Plan(scenes=scenes, views=1, size=arguments.size, seed=arguments.seed)


def _by_task(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        by_task.setdefault(sample.provenance["task"], []).append(sample)
    return by_task


def _qualify(
    pool: ExecutionPool, by_task: Mapping[str, Sequence[Sample]], arguments: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    chosen = {task: samples[: arguments.qualifying] for task, samples in by_task.items()}
    done = _run(pool, {task: [(s, _points(s)) for s in chosen[task]] for task in chosen})
    return {task: _row([executions]) for task, executions in sorted(done.items())}


def _comparison_samples(
    by_task: Mapping[str, Sequence[Sample]],
    left_out: Mapping[str, Any],
    arguments: argparse.Namespace,
) -> dict[str, list[Sample]]:
    first, last = arguments.qualifying, arguments.qualifying + arguments.per_task
    further = {task: list(by_task[task][first:last]) for task in by_task if task not in left_out}
    return {task: samples for task, samples in further.items() if len(samples) > 1}


def _compare(
    pool: ExecutionPool, compared: Mapping[str, Sequence[Sample]], seed: int
) -> dict[str, dict[str, list[Execution]]]:
    names = [REFERENCE, *(_noise_name(px) for px in NOISE_PX), LINE, OTHER]
    return {
        name: _run(pool, {task: _variant(name, compared[task], seed) for task in compared})
        for name in names
    }


def _variant(name: str, samples: Sequence[Sample], seed: int) -> list[tuple[Sample, FloatArray]]:
    traces = [_points(sample) for sample in samples]
    if name == OTHER:
        shifts = range(1, min(OTHERS_EACH, len(samples) - 1) + 1)
        return [
            (sample, traces[(index + shift) % len(traces)])
            for shift in shifts
            for index, sample in enumerate(samples)
        ]
    if name == LINE:
        traces = [np.linspace(trace[0], trace[-1], 3) for trace in traces]
    elif name != REFERENCE:
        deviation = float(name.removeprefix("noise_").removesuffix("px"))
        rng = np.random.default_rng([seed, int(samples[0].provenance["seed"])])
        traces = [trace + rng.normal(0.0, deviation, trace.shape) for trace in traces]
    return list(zip(samples, traces, strict=True))


def _noise_name(deviation: float) -> str:
    return f"noise_{deviation:g}px"


def _run(
    pool: ExecutionPool, wanted: Mapping[str, Sequence[tuple[Sample, FloatArray]]]
) -> dict[str, list[Execution]]:
    jobs = [ExecutionJob(sample, trace) for pairs in wanted.values() for sample, trace in pairs]
    executions = iter(pool.run(jobs))
    return {task: [next(executions) for _ in pairs] for task, pairs in wanted.items()}


def _points(sample: Sample) -> FloatArray:
    if not isinstance(sample.target, TraceTarget):
        raise TypeError(f"{sample.id} has no trace")
    return sample.target.points


def _row(executions: Iterable[Sequence[Execution]]) -> dict[str, Any]:
    flat = [execution for group in executions for execution in group]
    interval = asdict(bootstrap_mean([execution.success for execution in flat]))
    failures = Counter(str(execution.reason) for execution in flat if not execution.success)
    rounded = {name: round(interval[name], 4) for name in ("low", "high")}
    return {
        "success": round(interval["mean"], 4),
        **rounded,
        "count": len(flat),
        "steps": round(float(np.mean([execution.steps for execution in flat])), 1),
        "failures": dict(failures.most_common()),
    }


def _throughput(compared: Mapping[str, Sequence[Sample]], workers: int) -> dict[str, Any]:
    """References in shuffled order, first with an empty scene cache, then again."""
    samples = [sample for group in compared.values() for sample in group]
    order = np.random.default_rng(0).permutation(len(samples))
    jobs = [ExecutionJob(samples[index], _points(samples[index])) for index in order]
    load = os.getloadavg()[0]
    started = time.perf_counter()
    with ExecutionPool(workers) as pool:
        pool.run(jobs)
        cold = time.perf_counter()
        pool.run(jobs)
        warm = time.perf_counter()
    return {
        "workers": workers,
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        "executions": len(jobs),
        "per_second_with_start": round(len(jobs) / (cold - started), 1),
        "per_second": round(len(jobs) / (warm - cold), 1),
    }


def _plot(report: Mapping[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    variants = report["variants"]
    deviations = [0.0, *NOISE_PX]
    rows = [variants[REFERENCE], *(variants[_noise_name(px)] for px in NOISE_PX)]
    success = np.array([row["success"] for row in rows])
    ends = np.array([[row["low"], row["high"]] for row in rows]).T
    figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
    axes.errorbar(
        deviations, success, np.abs(ends - success), marker="o", capsize=3, label="noisy reference"
    )
    controls = (
        (LINE, "straight line", "tab:red"),
        (OTHER, "another sample's trace of the same task", "tab:orange"),
    )
    for name, label, colour in controls:
        row = variants[name]
        axes.axhline(row["success"], color=colour, linestyle="--", label=label)
        axes.axhspan(row["low"], row["high"], color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel(f"noise on every waypoint [px of {report['size_px']}]")
    axes.set_ylabel("executions that solve the task")
    axes.set_ylim(0.0, 1.0)
    axes.set_title(f"{report['samples']} id_test samples of {report['tasks']} tasks", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=140)


if __name__ == "__main__":
    main()
