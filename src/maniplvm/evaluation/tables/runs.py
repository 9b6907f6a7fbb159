"""The evaluations that are compared, and whether they may be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.results import Evaluation, read_evaluation
from maniplvm.evaluation.scored import ScoredSample, read_samples


@dataclass(frozen=True)
class Run:
    """One evaluation.

    Attributes:
        name: What it is called in tables.
        folder: Where it lies.
        evaluation: Its `evaluation.json`.
        data: What tells its data set from others.
        samples: Its scored completions.
    """

    name: str
    folder: Path
    evaluation: Evaluation
    data: str
    samples: tuple[ScoredSample, ...]

    @cached_property
    def by_id(self) -> dict[str, ScoredSample]:
        """One completion of every sample."""
        return {sample.id: sample for sample in self.samples}

    def only(self, wanted: Callable[[ScoredSample], bool]) -> Run:
        """The same with some of its completions."""
        return replace(self, samples=tuple(filter(wanted, self.samples)))


def read_runs(folders: Sequence[Path], names: Sequence[str] | None = None) -> list[Run]:
    """Finished evaluations by name.

    Args:
        folders: Theirs.
        names: What to call them; their folders' names if None.

    Raises:
        UserError: a folder without a finished evaluation, or names that do not fit.
    """
    evaluations = [read_evaluation(folder) for folder in folders]
    if names is None:
        names = _names([Path(e.rescored or f) for e, f in zip(evaluations, folders, strict=True)])
    if len(names) != len(folders):
        raise UserError(f"{len(names)} names for {len(folders)} runs; give each run one")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two runs are called {twice!r}; tell them apart with --names")
    return [
        Run(name, folder, evaluation, _data(folder, evaluation), tuple(read_samples(folder)))
        for name, folder, evaluation in zip(names, folders, evaluations, strict=True)
    ]


def restrict_to_common(runs: Sequence[Run]) -> list[Run]:
    """The runs with only the samples that all of them answered."""
    common = set.intersection(*(set(run.by_id) for run in runs))
    return [run.only(lambda sample: sample.id in common) for run in runs]


def check_comparable(runs: Sequence[Run]) -> list[str]:
    """What makes runs less comparable than a table would suggest.

    Returns:
        One line for every difference.

    Raises:
        UserError: they must not stand in one table: other protocols, other targets, or no sample
            in common.
    """
    first = runs[0]
    for run in runs[1:]:
        _refuse(first, run)
    return [*_differences(runs), *_selections(runs), *_executions(runs)]


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, longer where that does not tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(own[-length:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{folders[0]}: a run is named twice; name each one once")


def _data(folder: Path, evaluation: Evaluation) -> str:
    """What tells the data set from others: the digest that was noted when it was asked."""
    path = Path(evaluation.rescored or folder) / "settings.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["asked"]["data"])
    except FileNotFoundError:
        return evaluation.data
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the settings of an evaluation ({error!r})") from error


def _refuse(first: Run, other: Run) -> None:
    protocols = first.evaluation.protocol, other.evaluation.protocol
    if protocols[0] != protocols[1]:
        raise UserError(
            f"{first.name} was measured by protocol {protocols[0]}, {other.name} by {protocols[1]}: "
            "their figures must not stand in one table; score both alike with `maniplvm rescore`"
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
                "measured on different data; evaluate both on the same"
            )


def _differences(runs: Sequence[Run]) -> Iterator[str]:
    yield from _told(runs, "data", lambda run: run.data)
    yield from _told(runs, "wrong instructions", lambda run: run.evaluation.wrong_instruction)
    drawn = [run for run in runs if run.evaluation.decoding.get("temperature") is not None]
    for setting in ("temperature", "draws", "max_new_tokens"):
        yield from _told(drawn, setting, lambda run: run.evaluation.decoding.get(setting))  # noqa: B023


def _selections(runs: Sequence[Run]) -> Iterator[str]:
    asked = [frozenset(run.by_id) for run in runs]
    if len(set(asked)) > 1:
        counts = ", ".join(f"{run.name} {len(own)}" for run, own in zip(runs, asked, strict=True))
        common = len(frozenset.intersection(*asked))
        yield (
            f"the runs answered different samples: {counts}; {common} are common to all, "
            "and --common compares on those alone"
        )


def _executions(runs: Sequence[Run]) -> Iterator[str]:
    executed = {
        run.name: frozenset(s.id for s in run.samples if s.execution is not None) for run in runs
    }
    judged = {name: own for name, own in executed.items() if own}
    if len(set(judged.values())) > 1 and len({frozenset(run.by_id) for run in runs}) == 1:
        counts = ", ".join(f"{name} {len(own)}" for name, own in judged.items())
        yield f"different traces were executed: {counts}"


def _told(runs: Sequence[Run], what: str, of: Callable[[Run], Any]) -> Iterator[str]:
    values = {run.name: of(run) for run in runs}
    if len({json.dumps(value) for value in values.values()}) > 1:
        yield f"different {what}: " + ", ".join(
            f"{name} {'none' if value is None else value}" for name, value in values.items()
        )
