"""The compared evaluations, and checks that they are comparable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.folder import SETTINGS_FILE, read_settings
from maniplvm.evaluation.records import (
    Evaluation,
    ScoredSample,
    read_evaluation,
    read_samples,
)


@dataclass(frozen=True)
class Run:
    """One evaluation.

    Attributes:
        name: The name in tables.
        folder: The evaluation's folder.
        evaluation: The content of its `evaluation.json`.
        data: A digest of its data set.
        samples: The scored samples.
    """

    name: str
    folder: Path
    evaluation: Evaluation
    data: str
    samples: tuple[ScoredSample, ...]

    @cached_property
    def by_id(self) -> dict[str, ScoredSample]:
        """One scored completion of every sample, by id."""
        return {sample.id: sample for sample in self.samples}

    def only(self, wanted: Callable[[ScoredSample], bool]) -> Run:
        """The same run with only some of its samples."""
        return replace(self, samples=tuple(filter(wanted, self.samples)))


def read_runs(folders: Sequence[Path], names: Sequence[str] | None = None) -> list[Run]:
    """Read finished evaluations.

    Args:
        folders: The folders of the evaluations.
        names: The names in tables; the folders' names if None.

    Raises:
        UserError: a folder has no finished evaluation, or the names do not fit.
    """
    evaluations = [read_evaluation(folder) for folder in folders]
    if names is None:
        names = _names([Path(e.rescored or f) for e, f in zip(evaluations, folders, strict=True)])
    if len(names) != len(folders):
        raise UserError(f"{len(names)} names for {len(folders)} runs; give one name per run")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two runs are called {twice!r}; give different --names")
    return [
        Run(name, folder, evaluation, _data(folder, evaluation), tuple(read_samples(folder)))
        for name, folder, evaluation in zip(names, folders, evaluations, strict=True)
    ]


def restrict_to_common(runs: Sequence[Run]) -> list[Run]:
    """The runs with only their common samples."""
    common = set.intersection(*(set(run.by_id) for run in runs))
    return [run.only(lambda sample: sample.id in common) for run in runs]


def check_comparable(runs: Sequence[Run]) -> list[str]:
    """Check that runs are comparable.

    Returns:
        One warning for every difference in settings or samples.

    Raises:
        UserError: the runs have different protocols, different targets, or no common sample.
    """
    first = runs[0]
    for run in runs[1:]:
        _require_comparable(first, run)
    return [*_differences(runs), *_selections(runs), *_executions(runs)]


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, or more parts if the last ones are equal."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(own[-length:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{folders[0]}: a run is given twice; give each run once")


def _data(folder: Path, evaluation: Evaluation) -> str:
    """The digest of the data set from the evaluation's settings, or the folder without settings."""
    source = Path(evaluation.rescored or folder)
    if not (source / SETTINGS_FILE).exists():
        return evaluation.data
    return str(read_settings(source)["data"])


def _require_comparable(first: Run, other: Run) -> None:
    protocols = first.evaluation.protocol, other.evaluation.protocol
    if protocols[0] != protocols[1]:
        raise UserError(
            f"{first.name} was measured by protocol {protocols[0]}, {other.name} by {protocols[1]}: "
            "their figures cannot be compared; score both under one protocol with `maniplvm rescore`"
        )
    common = [id for id in other.by_id if id in first.by_id]
    if not common:
        raise UserError(
            f"{first.name} ({first.data}) and {other.name} ({other.data}) have no sample in "
            "common; compare runs on the same data and splits"
        )
    for id in common:
        one, two = first.by_id[id], other.by_id[id]
        if (one.task, one.target, one.image_size) != (two.task, two.target, two.image_size):
            raise UserError(
                f"sample {id} has another target in {other.name} than in {first.name}: they were "
                "measured on different data; evaluate both on the same data"
            )


def _differences(runs: Sequence[Run]) -> Iterator[str]:
    yield from _setting(runs, "data", lambda run: run.data)
    yield from _setting(runs, "wrong instructions", lambda run: run.evaluation.wrong_instruction)
    generated = [run for run in runs if run.evaluation.decoding.get("temperature") is not None]
    for setting in ("temperature", "draws", "max_new_tokens"):
        yield from _setting(generated, setting, lambda run: run.evaluation.decoding.get(setting))  # noqa: B023


def _selections(runs: Sequence[Run]) -> Iterator[str]:
    ids = [frozenset(run.by_id) for run in runs]
    if len(set(ids)) > 1:
        counts = ", ".join(f"{run.name} {len(own)}" for run, own in zip(runs, ids, strict=True))
        common = len(frozenset.intersection(*ids))
        yield (
            f"the runs have different samples: {counts}; {common} are common to all, "
            "and --common compares only those"
        )


def _executions(runs: Sequence[Run]) -> Iterator[str]:
    executed = {
        run.name: frozenset(s.id for s in run.samples if s.execution is not None) for run in runs
    }
    with_traces = {name: own for name, own in executed.items() if own}
    if len(set(with_traces.values())) > 1 and len({frozenset(run.by_id) for run in runs}) == 1:
        counts = ", ".join(f"{name} {len(own)}" for name, own in with_traces.items())
        yield f"different traces were executed: {counts}"


def _setting(runs: Sequence[Run], what: str, of: Callable[[Run], Any]) -> Iterator[str]:
    values = {run.name: of(run) for run in runs}
    if len({json.dumps(value) for value in values.values()}) > 1:
        yield f"different {what}: " + ", ".join(
            f"{name} {'none' if value is None else value}" for name, value in values.items()
        )
