"""Summary at the top of the page: which metrics improved or got worse, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maniplvm.evaluation.report.comparison import Change, Changes, Verdict
from maniplvm.evaluation.report.folders import ModelEvaluation, Run
from maniplvm.evaluation.report.metrics import (
    HEADLINE_METRICS,
    SPLIT_DESCRIPTIONS,
    Metric,
    metric_of,
)
from maniplvm.evaluation.report.sections.tables import interval_of
from maniplvm.tasks.sample import Task

_NOUNS: Mapping[str, str] = {
    "iou": "boxes",
    "dfd_diagonal": "traces",
    "dfd_unit": "traces",
    "mae": "traces",
    "execution": "task success",
    "inside": "points",
}


@dataclass(frozen=True)
class SummaryMetric:
    """One metric of the summary. All values are formatted.

    Attributes:
        metric: The metric.
        before: Value before training, or None.
        after: Value after training.
        change: Difference, empty without a value before.
        interval: Interval of the difference, or of `after` without a value before.
        verdict: Better, worse or unclear. None without a value before.
    """

    metric: Metric
    before: str | None
    after: str
    change: str
    interval: str
    verdict: Verdict | None


@dataclass(frozen=True)
class Summary:
    """Summary of the page.

    Attributes:
        title: One sentence.
        split: The split of the metrics.
        metrics: The main metrics on that split.
        findings: For each verdict, the splits and metrics with that verdict.
    """

    title: str
    split: str
    metrics: Sequence[SummaryMetric]
    findings: Sequence[tuple[Verdict, Sequence[tuple[str, str]]]]


def main_split(after: ModelEvaluation, runs: Sequence[Run]) -> str:
    """The test split of the data of the first run, or else the first split."""
    splits = list(after.result.splits)
    trained = str(_data_of(runs[0]).get("split", "")) if runs else "adapt"
    candidates = [f"{trained}_test", "id_test" if trained == "train" else trained]
    return next((split for split in candidates if split in splits), splits[0])


def _data_of(run: Run) -> Mapping[str, object]:
    recipe = run.facts.get("recipe")
    data = recipe.get("data") if isinstance(recipe, dict) else None
    return data if isinstance(data, dict) else {}


def summarize(after: ModelEvaluation, changes: Changes, split: str) -> Summary:
    """Summarise the result.

    Args:
        after: Evaluation of the model of the page.
        changes: Changes from before, empty without an evaluation before.
        split: The split of the title and the metrics.
    """
    leading = [
        change for (_, task, key), change in changes.items() if key in HEADLINE_METRICS[task]
    ]
    metrics = [
        metric
        for task in Task
        for key in HEADLINE_METRICS[task]
        if (metric := _summary_metric(after, changes, split, task, key)) is not None
    ]
    if not changes:
        figures = ", ".join(f"{metric.metric.name} {metric.after}" for metric in metrics)
        return Summary(f"{after.label} on {split}: {figures}", split, metrics, [])
    findings = [
        (verdict, _by_split(own))
        for verdict in Verdict
        if (own := [change for change in leading if change.verdict is verdict])
    ]
    return Summary(_title(leading, split), split, metrics, findings)


def describe_split(split: str) -> str:
    """Name of the split with its description, if it has one."""
    description = SPLIT_DESCRIPTIONS.get(split)
    return f"{split} ({description})" if description else split


def _summary_metric(
    after: ModelEvaluation, changes: Changes, split: str, task: Task, key: str
) -> SummaryMetric | None:
    metric = metric_of(task, key)
    change = changes.get((split, task, key))
    if change is not None:
        was, is_now = (
            metric.format_value(change.paired_difference.before),
            metric.format_value(change.paired_difference.after),
        )
        difference = metric.format_difference(change.paired_difference.difference.mean)
        return SummaryMetric(metric, was, is_now, difference, change.interval_text, change.verdict)
    found = interval_of(after.task(split, task), key)
    if found is None:
        return None
    interval = metric.format_interval(found.low, found.high)
    return SummaryMetric(metric, None, metric.format_value(found.mean), "", interval, None)


def _title(leading: Sequence[Change], split: str) -> str:
    here = [change for change in leading if change.split == split]
    better, worse = (_nouns(here, verdict) for verdict in (Verdict.BETTER, Verdict.WORSE))
    if better and worse:
        title = f"{_and(better)} got better on {split}, {_and(worse)} got worse"
    elif better or worse:
        title = f"{_and(better or worse)} got {'better' if better else 'worse'} on {split}"
    else:
        title = f"no clear change on {split}"
    lost: dict[tuple[str, ...], list[str]] = {}
    for split in dict.fromkeys(change.split for change in leading if change.split != split):
        own = [change for change in leading if change.split == split]
        if nouns := _nouns(own, Verdict.WORSE):
            lost.setdefault(tuple(nouns), []).append(split)
    if lost:
        texts = [f"{_and(nouns)} on {_and(splits)}" for nouns, splits in lost.items()]
        title = f"{title}, {'but' if better else 'and'} worse: {', '.join(texts)}"
    return title[0].upper() + title[1:]


def _nouns(changes: Sequence[Change], verdict: Verdict) -> list[str]:
    return list(
        dict.fromkeys(_NOUNS[change.metric.key] for change in changes if change.verdict is verdict)
    )


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _by_split(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Metrics by split, with the difference if it is clear."""
    found: dict[str, list[str]] = {}
    for change in changes:
        clear = change.verdict is not Verdict.UNCLEAR
        texts = f"{change.metric.name} {change.text}" if clear else change.metric.name
        found.setdefault(change.split, []).append(texts)
    return [(split, "; ".join(texts)) for split, texts in found.items()]
