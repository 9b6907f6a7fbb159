"""What stands below the tables: how to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maniplvm.evaluation.protocols import MANIPLVM
from maniplvm.evaluation.tables.groups import Group
from maniplvm.evaluation.tables.runs import Run
from maniplvm.evaluation.tables.scheme import Scheme
from maniplvm.tasks import Task

_READING = {
    "strict": "an answer that cannot be read counts as the worst",
    "published": "by the protocol's own habit",
}
_UNITS = "Shares are x 100."
_PAPER_UNITS = (
    "IoU and shares are x 100. DFD, HD, RMSE and avg, their mean, are taken after both sides of "
    "the image were scaled to 1000."
)


def page_notes(
    runs: Sequence[Run], groups: Sequence[Group], scheme: Scheme, seed: int
) -> Iterator[str]:
    """A sentence or two for each thing that a reader must know."""
    habit = _READING[scheme.reading]
    if scheme.reading == "published":
        left_out = ", ".join(sorted(scheme.left_out))
        habit += f" ({left_out}: an answer that cannot be read is left out)" if left_out else ""
    yield f"Protocol {scheme.protocol}, {scheme.reading} reading: {habit}."
    yield _PAPER_UNITS if scheme.protocol == MANIPLVM.name else _UNITS
    yield "Samples: " + "; ".join(f"{group.name}: {_counts(runs, group)}" for group in groups) + "."
    yield (
        f"Intervals: 95 %, bootstrap over scenes, seed {seed}. Bold: the best of its column. "
        "A difference is paired by sample; * marks one whose interval leaves out 0."
    )


def _counts(runs: Sequence[Run], group: Group) -> str:
    """The most that any run answered, by task."""
    counts = {
        task: max(
            sum(s.task is task and s.split in group.splits for s in run.by_id.values())
            for run in runs
        )
        for task in Task
    }
    return ", ".join(f"{count} {task}" for task, count in counts.items() if count)
