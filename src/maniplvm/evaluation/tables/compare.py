"""Comparison of several evaluations as a page of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.evaluation.tables.columns import READINGS, TableSpec, find_column
from maniplvm.evaluation.tables.differences import difference_table, matrix_table
from maniplvm.evaluation.tables.groups import group_splits
from maniplvm.evaluation.tables.means import collect_values, means_table
from maniplvm.evaluation.tables.model import Page
from maniplvm.evaluation.tables.notes import page_notes
from maniplvm.evaluation.tables.published import reference_note, reference_rows
from maniplvm.evaluation.tables.runs import Run, check_comparable, read_runs, restrict_to_common


@dataclass(frozen=True)
class ComparisonOptions:
    """What a comparison shows.

    Attributes:
        names: The names of the runs; their folders' names if None.
        reading: `strict` or `published`.
        splits: Only these splits; None takes all.
        in_domain: The splits that are in domain; see `group_splits`.
        out_of_domain: The splits that are out of domain.
        common: Whether only samples count that all runs have.
        published: Whether published figures are shown as reference rows.
        against: The name of a run; the paired differences of the others to it are also shown.
        matrix: The key of a column; the paired differences between all runs in it are also shown.
        seed: Seed of the bootstrap.
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


def compare_runs(folders: Sequence[str | Path], options: ComparisonOptions | None = None) -> Page:
    """Compare finished evaluations.

    Args:
        folders: The folders of at least one evaluation.
        options: What the comparison shows.

    Returns:
        A table of means, then the requested tables of paired differences.

    Raises:
        UserError: a folder has no finished evaluation, the runs are not comparable, or a given name
            does not exist.
    """
    options = options or ComparisonOptions()
    runs = _selected(read_runs([Path(folder) for folder in folders], options.names), options)
    warnings = check_comparable(runs)
    spec = TableSpec.of(runs[0].evaluation, options.reading)
    splits = dict.fromkeys(sample.split for run in runs for sample in run.samples)
    groups = group_splits(splits, options.in_domain, options.out_of_domain)
    values = collect_values(runs, groups, spec, options.seed)
    models = reference_rows(values.columns, spec.protocol) if options.published else []
    tables = [means_table(values, [row for _, row in models])]
    if options.against is not None:
        tables.append(difference_table(values, options.against))
    if options.matrix is not None:
        tables.append(matrix_table(values, find_column(options.matrix, spec.columns)))
    notes = [
        *page_notes(runs, groups, spec, options.seed),
        *dict.fromkeys(reference_note(model.origin) for model, _ in models),
    ]
    title = f"protocol {spec.protocol}, {spec.reading}"
    return Page(title, tuple(tables), tuple(warnings), tuple(notes))


def _selected(runs: Sequence[Run], options: ComparisonOptions) -> list[Run]:
    """The runs with the selected samples."""
    if options.splits is not None:
        wanted = set(options.splits)
        available = dict.fromkeys(sample.split for run in runs for sample in run.samples)
        missing = [split for split in options.splits if split not in available]
        if missing:
            raise UserError(
                f"no run has a split {missing[0]!r}; choose from {', '.join(available)}"
            )
        runs = [run.only(lambda sample: sample.split in wanted) for run in runs]
    return restrict_to_common(runs) if options.common else list(runs)
