"""From evaluations to a page of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.evaluation.tables.columns import find_column
from maniplvm.evaluation.tables.groups import group_splits
from maniplvm.evaluation.tables.means import means_table, measure
from maniplvm.evaluation.tables.model import Page
from maniplvm.evaluation.tables.notes import page_notes
from maniplvm.evaluation.tables.pairing import difference_table, matrix_table
from maniplvm.evaluation.tables.references import reference_note, references
from maniplvm.evaluation.tables.runs import Run, check_comparable, read_runs, restrict_to_common
from maniplvm.evaluation.tables.scheme import READINGS, Scheme


@dataclass(frozen=True)
class Comparing:
    """What is compared, and how.

    Attributes:
        names: What the runs are called; their folders' names if None.
        reading: `strict` or `published`.
        splits: Only these; None takes all.
        in_domain: Splits of the kind that was trained on; see `group_splits`.
        out_of_domain: The others of interest.
        common: Whether only samples count that all runs answered.
        published: Whether published figures stand below.
        against: The name of a run: the others' paired differences to it are shown too.
        matrix: A column's key: every run's paired difference to every other is shown too.
        seed: Of the bootstrap.
    """

    names: Sequence[str] | None = None
    reading: str = READINGS[0]
    splits: Sequence[str] | None = None
    in_domain: Sequence[str] | None = None
    out_of_domain: Sequence[str] | None = None
    common: bool = False
    published: bool = True
    against: str | None = None
    matrix: str | None = None
    seed: int = 0


def compare_runs(folders: Sequence[str | Path], how: Comparing | None = None) -> Page:
    """Finished evaluations side by side.

    Args:
        folders: Theirs, at least one.
        how: What is compared, and how.

    Returns:
        A table of means, then those of paired differences that were asked for.

    Raises:
        UserError: a folder without a finished evaluation, runs that must not be compared, or a
            name that does not exist.
    """
    how = how or Comparing()
    runs = _chosen(read_runs([Path(folder) for folder in folders], how.names), how)
    warnings = check_comparable(runs)
    scheme = Scheme.of(runs[0].evaluation, how.reading)
    splits = dict.fromkeys(sample.split for run in runs for sample in run.samples)
    groups = group_splits(splits, how.in_domain, how.out_of_domain)
    measured = measure(runs, groups, scheme, how.seed)
    models = references(measured.places, scheme.protocol) if how.published else []
    tables = [means_table(measured, [row for _, row in models])]
    if how.against is not None:
        tables.append(difference_table(measured, how.against))
    if how.matrix is not None:
        tables.append(matrix_table(measured, find_column(how.matrix, scheme.columns)))
    notes = [
        *page_notes(runs, groups, scheme, how.seed),
        *dict.fromkeys(reference_note(model.origin) for model, _ in models),
    ]
    title = f"protocol {scheme.protocol}, {scheme.reading}"
    return Page(title, tuple(tables), tuple(warnings), tuple(notes))


def _chosen(runs: Sequence[Run], how: Comparing) -> list[Run]:
    """The runs with the samples that are asked for."""
    if how.splits is not None:
        wanted = set(how.splits)
        there = dict.fromkeys(sample.split for run in runs for sample in run.samples)
        missing = [split for split in how.splits if split not in there]
        if missing:
            raise UserError(f"no run has a split {missing[0]!r}; choose from {', '.join(there)}")
        runs = [run.only(lambda sample: sample.split in wanted) for run in runs]
    return restrict_to_common(runs) if how.common else list(runs)
