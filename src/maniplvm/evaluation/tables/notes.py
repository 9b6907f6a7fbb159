"""The notes below the tables: how to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maniplvm.evaluation.protocols import MANIPLVM
from maniplvm.evaluation.tables.columns import TableSpec
from maniplvm.evaluation.tables.groups import Group
from maniplvm.evaluation.tables.runs import Run
from maniplvm.tasks import Task

_READING = {
    "strict": "an answer that cannot be parsed counts as the worst",
    "published": "answers that cannot be parsed count as in the protocol's published figures",
}
_UNITS = "Shares are multiplied by 100."
_PAPER_UNITS = (
    "IoU and shares are multiplied by 100. DFD, HD and RMSE are computed after both sides of the "
    "image are scaled to 1000; avg is their mean."
)


def page_notes(
    runs: Sequence[Run], groups: Sequence[Group], spec: TableSpec, seed: int
) -> Iterator[str]:
    """The notes, each in one or two sentences."""
    policy = _READING[spec.reading]
    if spec.reading == "published":
        left_out = ", ".join(sorted(spec.left_out))
        policy += f" (for {left_out} they are left out)" if left_out else ""
    yield f"Protocol {spec.protocol}, {spec.reading} reading: {policy}."
    yield _PAPER_UNITS if spec.protocol == MANIPLVM.name else _UNITS
    yield "Samples: " + "; ".join(f"{group.name}: {_counts(runs, group)}" for group in groups) + "."
    yield (
        f"Intervals: 95 %, bootstrap over scenes, seed {seed}. Bold: the best value of the column. "
        "Differences are paired by sample; * marks those whose interval excludes 0."
    )


def _counts(runs: Sequence[Run], group: Group) -> str:
    """The largest number of samples in any run, by task."""
    counts = {
        task: max(
            sum(s.task is task and s.split in group.splits for s in run.by_id.values())
            for run in runs
        )
        for task in Task
    }
    return ", ".join(f"{count} {task}" for task, count in counts.items() if count)
