"""Aggregation of scored samples to means with confidence intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from maniplvm.evaluation.protocols import Protocol, TaskProtocol, UnreadablePolicy
from maniplvm.evaluation.records import CategoryResult, ScoredSample, TaskResult
from maniplvm.evaluation.statistics.behaviour import (
    area_ratio,
    diversity,
    length_ratio,
    part_named,
    start_diagonal,
)
from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.tasks import Task


def aggregate(
    samples: Sequence[ScoredSample], protocol: Protocol, seed: int = 0
) -> dict[str, dict[Task, TaskResult]]:
    """Results by split and task, in the order of first occurrence.

    Args:
        samples: All scored samples.
        protocol: The protocol that measured them.
        seed: Seed of the bootstrap.
    """
    grouped: dict[str, dict[Task, list[ScoredSample]]] = {}
    for sample in samples:
        grouped.setdefault(sample.split, {}).setdefault(sample.task, []).append(sample)
    return {
        split: {
            task: summarise_task(tasks[task], protocol.tasks[task], seed)
            for task in Task
            if task in tasks
        }
        for split, tasks in grouped.items()
    }


def summarise_task(
    samples: Sequence[ScoredSample], protocol: TaskProtocol, seed: int = 0
) -> TaskResult:
    """The results of one task, bootstrapped over scenes."""
    answered = [sample for sample in samples if sample.answered]
    counted = answered
    if protocol.unreadable is UnreadablePolicy.LEFT_OUT:
        counted = [sample for sample in samples if sample.parsed]
    by_category: dict[str, list[ScoredSample]] = {}
    for sample in samples:
        by_category.setdefault(sample.category or "-", []).append(sample)
    lengths = [sample.tokens for sample in answered if sample.tokens is not None]
    return TaskResult(
        count=len(samples),
        scenes=len({sample.scene for sample in samples}),
        coverage=len(answered) / len(samples),
        parse_rate=_mean(answered, [sample.parsed for sample in answered], seed),
        format_rate=_mean(answered, [sample.well_formed for sample in answered], seed),
        strict=_measures(samples, protocol.worst, seed),
        published=_measures(counted, protocol.worst, seed),
        reward=_rewards(samples, seed),
        guesses=dict(Counter(g for s in samples for g in s.guesses).most_common()),
        guess_rate=sum(bool(s.guesses) for s in answered) / len(answered) if answered else None,
        failures=dict(Counter(s.status for s in samples if not s.parsed).most_common()),
        categories={
            name: _category(by_category[name], protocol, seed) for name in sorted(by_category)
        },
        execution=_execution(samples, seed),
        part_named=part_named(samples, seed),
        diversity=diversity(samples, seed),
        area_ratio=area_ratio(samples),
        length_ratio=length_ratio(samples),
        start_diagonal=start_diagonal(samples),
        tokens=sum(lengths) / len(lengths) if lengths and len(lengths) == len(answered) else None,
    )


def _category(samples: Sequence[ScoredSample], protocol: TaskProtocol, seed: int) -> CategoryResult:
    measures = _measures(samples, protocol.by_category, seed)
    executed = _execution(samples, seed)
    return CategoryResult(
        len(samples), measures if executed is None else measures | {"execution": executed}
    )


def _measures(
    samples: Sequence[ScoredSample], names: Sequence[str] | Mapping[str, object], seed: int
) -> dict[str, Interval]:
    return {name: _mean(samples, [s.measures[name] for s in samples], seed) for name in names}


def _rewards(samples: Sequence[ScoredSample], seed: int) -> dict[str, Interval]:
    terms = samples[0].terms
    return {
        "total": _mean(samples, [sample.reward for sample in samples], seed),
        **{name: _mean(samples, [s.terms[name] for s in samples], seed) for name in terms},
    }


def _execution(samples: Sequence[ScoredSample], seed: int) -> Interval | None:
    executed = [sample for sample in samples if sample.execution is not None]
    if not executed:
        return None
    solved = [bool(s.execution and s.execution.success) for s in executed]
    return _mean(executed, solved, seed)


def _mean(samples: Sequence[ScoredSample], values: Sequence[float], seed: int) -> Interval:
    return bootstrap_mean(values, groups=[sample.scene for sample in samples], seed=seed)
