"""The content of `evaluation.json` as types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.statistics.intervals import Interval
from maniplvm.tasks import Task

FORMAT = "maniplvm.evaluation/2"
EARLIER_FORMATS = ("maniplvm.evaluation/1",)
"""Read too: what they lack is what they could not have held."""
FILE = "evaluation.json"

Intervals = Mapping[str, Interval]
"""Means with intervals by the measure's name."""


@dataclass(frozen=True)
class CategoryResult:
    """One category of a split: strict means.

    Attributes:
        count: Completions.
        measures: Those that the protocol reports by category, and `execution` where there is any.
    """

    count: int
    measures: Intervals


@dataclass(frozen=True)
class TaskResult:
    """One task of one split.

    Attributes:
        count: Completions that were asked for.
        scenes: Scenes, which the bootstrap draws.
        parse_rate: Share of the given completions with an answer that the protocol can measure.
        format_rate: Share of the given completions in the exact form that was asked for.
        strict: The protocol's measures; an unreadable or missing completion counts as the worst.
        published: The same by the protocol's own habit, over what was answered.
        reward: The preset's `total` and terms.
        failures: How often each status ended an unreadable completion.
        categories: By name.
        execution: Share of traces that solve their task in physics; None where none was executed.
        part_named: Share of completions whose reasoning names the part to touch; None where the
            samples know none.
        diversity: Mean distance between the answers of one sample (1 - IoU, or DFD in diagonals);
            None with one draw.
        area_ratio: Median of predicted by true area of the boxes that could be read; None for
            traces.
        length_ratio: Median of said by true length of the traces that could be read.
        start_diagonal: Median distance of their first points from where they belong [diagonals].
        tokens: Mean length of a completion, or None where it is not known.
        coverage: Share of what was asked that was answered at all; below 1 only for a predictions
            file that leaves samples out.
    """

    count: int
    scenes: int
    parse_rate: Interval
    format_rate: Interval
    strict: Intervals
    published: Intervals
    reward: Intervals
    failures: Mapping[str, int]
    categories: Mapping[str, CategoryResult]
    execution: Interval | None = None
    part_named: Interval | None = None
    diversity: Interval | None = None
    area_ratio: float | None = None
    length_ratio: float | None = None
    start_diagonal: float | None = None
    tokens: float | None = None
    coverage: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)} | {
            "categories": {
                name: {"count": result.count, **_plain(result.measures)}
                for name, result in self.categories.items()
            }
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> TaskResult:
        """What `to_json` described."""
        known = _fields_of(cls, plain)
        for name in ("parse_rate", "format_rate", "execution", "part_named", "diversity"):
            known[name] = None if plain[name] is None else Interval.from_json(plain[name])
        for name in ("strict", "published", "reward"):
            known[name] = {key: Interval.from_json(value) for key, value in plain[name].items()}
        known["categories"] = {
            name: CategoryResult(
                own["count"],
                {k: Interval.from_json(v) for k, v in own.items() if k != "count"},
            )
            for name, own in plain["categories"].items()
        }
        return cls(**known)


@dataclass(frozen=True)
class Evaluation:
    """What a model does on a data set.

    Attributes:
        model: What was measured.
        data: The data set's folder.
        protocol: What was measured of its answers.
        decoding: All that decides the completions besides model and samples.
        selection: Which samples were asked.
        wrong_instruction: The seed of the wrong instructions, or None where each sample was asked
            with its own.
        preset: What was rewarded.
        command: The command line, or empty.
        seed: Of the bootstrap.
        versions: Of the packages that decide the numbers.
        seconds: Wall time of the call that finished it.
        resumed: Completions that an earlier, interrupted call had made.
        peak_rss_mb: Largest memory of that call [MB].
        splits: Results by split and task.
        measures: By task what the protocol reads, its published habit, and under `values` each
            measure's meaning, unit, frame, better direction and range.
        not_measured: Completions that the protocol says nothing about, by reason.
        rescored: The folder whose completions were scored again, or None.
    """

    model: str
    data: str
    protocol: str
    decoding: Mapping[str, Any]
    selection: Mapping[str, Any]
    wrong_instruction: int | None
    preset: str
    command: tuple[str, ...]
    seed: int
    versions: Mapping[str, str]
    seconds: float
    resumed: int
    peak_rss_mb: float
    splits: Mapping[str, Mapping[Task, TaskResult]]
    measures: Mapping[str, Any] = field(default_factory=dict[str, Any])
    not_measured: Mapping[str, int] = field(default_factory=dict[str, int])
    rescored: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, as in `evaluation.json`."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        splits = {
            split: {task.value: result.to_json() for task, result in tasks.items()}
            for split, tasks in self.splits.items()
        }
        return {"format": FORMAT, **plain, "command": list(self.command), "splits": splits}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Evaluation:
        """What `to_json` described.

        Raises:
            ValueError: another format.
        """
        if plain.get("format") not in (FORMAT, *EARLIER_FORMATS):
            raise ValueError(f"format {plain.get('format')!r}, expected {FORMAT!r}")
        known = _fields_of(cls, plain)
        known["command"] = tuple(plain["command"])
        known["splits"] = {
            split: {Task(task): TaskResult.from_json(result) for task, result in tasks.items()}
            for split, tasks in plain["splits"].items()
        }
        return cls(**known)


def read_evaluation(folder: Path) -> Evaluation:
    """The result of a finished evaluation.

    Raises:
        UserError: the folder holds none, or a damaged one.
    """
    path = folder / FILE
    try:
        return Evaluation.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a finished evaluation"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not an evaluation ({type(error).__name__}: {error})") from error


def _fields_of(cls: type[TaskResult | Evaluation], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are there; one that later versions added may be missing."""
    added = ("coverage", "measures", "not_measured", "rescored", "length_ratio", "start_diagonal")
    return {f.name: plain[f.name] for f in fields(cls) if f.name not in added or f.name in plain}


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(own) for name, own in value.items()}
    return value
