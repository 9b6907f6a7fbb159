"""The first words of the page: what got better, what got worse, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maniplvm.evaluation.report.folders import Measured, Run
from maniplvm.evaluation.report.metrics import LEADING, SPLIT_PHRASES, Metric, metric_of
from maniplvm.evaluation.report.sections.changes import Change, Changes, Verdict
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
class Tile:
    """One leading figure in large type.

    Attributes:
        metric: What it is.
        before: As written, or None.
        after: As written.
        change: The difference, as written; empty without a before.
        span: The interval of the difference, or else of `after`, as written.
        verdict: Better, worse or unclear; None without a before.
    """

    metric: Metric
    before: str | None
    after: str
    change: str
    span: str
    verdict: Verdict | None


@dataclass(frozen=True)
class Headline:
    """What stands at the top.

    Attributes:
        title: One short sentence.
        focus: The split that it speaks of.
        tiles: The leading figures of that split.
        findings: For each verdict the splits that it holds for, and what was found there.
    """

    title: str
    focus: str
    tiles: Sequence[Tile]
    findings: Sequence[tuple[Verdict, Sequence[tuple[str, str]]]]


def focus_split(after: Measured, runs: Sequence[Run]) -> str:
    """The split to speak of: the test of what the first run trained on, else the first one."""
    splits = list(after.result.splits)
    trained = str(_data_of(runs[0]).get("split", "")) if runs else "adapt"
    wanted = [f"{trained}_test", "id_test" if trained == "train" else trained]
    return next((split for split in wanted if split in splits), splits[0])


def _data_of(run: Run) -> Mapping[str, object]:
    recipe = run.facts.get("recipe")
    data = recipe.get("data") if isinstance(recipe, dict) else None
    return data if isinstance(data, dict) else {}


def headline(after: Measured, changes: Changes, focus: str) -> Headline:
    """Put the result into words.

    Args:
        after: The evaluation that the page is about.
        changes: Against before; empty without one.
        focus: The split to speak of.
    """
    leading = [change for (_, task, key), change in changes.items() if key in LEADING[task]]
    tiles = [
        tile
        for task in Task
        for key in LEADING[task]
        if (tile := _tile(after, changes, focus, task, key)) is not None
    ]
    if not changes:
        figures = ", ".join(f"{tile.metric.name} {tile.after}" for tile in tiles)
        return Headline(f"{after.label} on {focus}: {figures}", focus, tiles, [])
    findings = [
        (verdict, _by_split(own))
        for verdict in Verdict
        if (own := [change for change in leading if change.verdict is verdict])
    ]
    return Headline(_title(leading, focus), focus, tiles, findings)


def describe_split(split: str) -> str:
    """The split's name, and what it is where that is known."""
    phrase = SPLIT_PHRASES.get(split)
    return f"{split} ({phrase})" if phrase else split


def _tile(after: Measured, changes: Changes, focus: str, task: Task, key: str) -> Tile | None:
    metric = metric_of(task, key)
    change = changes.get((focus, task, key))
    if change is not None:
        was, is_now = metric.show(change.found.before), metric.show(change.found.after)
        difference = metric.show_difference(change.found.difference.mean)
        return Tile(metric, was, is_now, difference, change.span, change.verdict)
    found = interval_of(after.task(focus, task), key)
    if found is None:
        return None
    span = metric.span(found.low, found.high)
    return Tile(metric, None, metric.show(found.mean), "", span, None)


def _title(leading: Sequence[Change], focus: str) -> str:
    here = [change for change in leading if change.split == focus]
    better, worse = (_nouns(here, verdict) for verdict in (Verdict.BETTER, Verdict.WORSE))
    if better and worse:
        title = f"{_and(better)} got better on {focus}, {_and(worse)} got worse"
    elif better or worse:
        title = f"{_and(better or worse)} got {'better' if better else 'worse'} on {focus}"
    else:
        title = f"no clear change on {focus}"
    lost: dict[tuple[str, ...], list[str]] = {}
    for split in dict.fromkeys(change.split for change in leading if change.split != focus):
        own = [change for change in leading if change.split == split]
        if nouns := _nouns(own, Verdict.WORSE):
            lost.setdefault(tuple(nouns), []).append(split)
    if lost:
        told = [f"{_and(nouns)} on {_and(splits)}" for nouns, splits in lost.items()]
        title = f"{title}, {'but' if better else 'and'} worse: {', '.join(told)}"
    return title[0].upper() + title[1:]


def _nouns(changes: Sequence[Change], verdict: Verdict) -> list[str]:
    return list(
        dict.fromkeys(_NOUNS[change.metric.key] for change in changes if change.verdict is verdict)
    )


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _by_split(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """What was found on each split; where nothing is clear, the names are enough."""
    found: dict[str, list[str]] = {}
    for change in changes:
        clear = change.verdict is not Verdict.UNCLEAR
        told = f"{change.metric.name} {change.told}" if clear else change.metric.name
        found.setdefault(change.split, []).append(told)
    return [(split, "; ".join(told)) for split, told in found.items()]
