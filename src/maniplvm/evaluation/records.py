"""The records of an evaluation: `evaluation.json`, and `samples.jsonl` with one scored sample per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

from maniplvm.errors import UserError
from maniplvm.evaluation.protocols import Outcome
from maniplvm.evaluation.statistics.intervals import Interval
from maniplvm.files import write_whole
from maniplvm.tasks import Task

FORMAT = "maniplvm.evaluation/2"
EARLIER_FORMATS = ("maniplvm.evaluation/1",)
"""Formats that can also be read; fields that they lack get their default."""
EVALUATION_FILE = "evaluation.json"
SAMPLES_FILE = "samples.jsonl"

Intervals = Mapping[str, Interval]
"""Means with intervals by the name of the measure."""

Numbers: TypeAlias = list[float] | list[list[float]]
"""A box `[x1, y1, x2, y2]`, or a trace or points `[[x, y], ...]` [px of the original image]."""

UNANSWERED = "no_prediction"
"""The status of a sample without a completion in a partial predictions file."""


@dataclass(frozen=True)
class ScoredSample:
    """One completion with its answer, measures and reward.

    Attributes:
        id: The sample's id.
        draw: Index of the completion among those of the sample.
        split: The sample's split.
        task: `affordance`, `trajectory` or `pointing`.
        category: The sample's category.
        scene: The scene, which several views may share (`scene_of`).
        instruction: The sample's instruction.
        asked: The instruction that replaced it (`--wrong-instruction`), or None.
        part: The name of the part to touch, or None.
        text: The completion.
        parsed: Whether an answer of the protocol's type could be parsed.
        well_formed: Whether the completion has exactly the requested format.
        status: The status of parsing; `UNANSWERED` without a completion.
        guesses: What parsing assumed; not empty exactly if the status is `guessed`.
        answer: The answer that the task asks for, or None.
        target: The target; for a region its bounding box.
        image_size: `(width, height)` [px].
        measures: The protocol's measures by name; the worst values if nothing was parsed.
        reward: The preset's total reward.
        terms: The preset's reward terms by name.
        tokens: Number of tokens of the completion, if known.
        execution: The outcome of executing the trace, or None.
        read_as: The answer that the protocol measured, if it differs from `answer`; otherwise None.
    """

    id: str
    draw: int
    split: str
    task: Task
    category: str | None
    scene: str
    instruction: str
    asked: str | None
    part: str | None
    text: str
    parsed: bool
    well_formed: bool
    status: str
    answer: Numbers | None
    target: Numbers
    image_size: tuple[int, int]
    measures: Mapping[str, float]
    reward: float
    terms: Mapping[str, float]
    tokens: int | None
    execution: Outcome | None
    read_as: Numbers | None = None
    guesses: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether there is a completion."""
        return self.status != UNANSWERED

    def to_line(self) -> str:
        """Its line in `samples.jsonl`; the measures are keys of the same object."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        measures = plain.pop("measures")
        if self.read_as is None:
            del plain["read_as"]
        if not self.guesses:
            del plain["guesses"]
        if self.execution is not None:
            plain["execution"] = {
                "success": self.execution.success,
                "reason": self.execution.reason,
            }
        return json.dumps({**plain, **measures}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> ScoredSample:
        """The sample of a parsed line of `samples.jsonl`."""
        names = {f.name: f.default is MISSING for f in fields(cls) if f.name != "measures"}
        known = {name: plain[name] for name, needed in names.items() if needed or name in plain}
        known["task"] = Task(known["task"])
        known["image_size"] = tuple(known["image_size"])
        known["guesses"] = tuple(known.get("guesses", ()))
        known["measures"] = {name: value for name, value in plain.items() if name not in names}
        if known["execution"] is not None:
            known["execution"] = Outcome(**known["execution"])
        return cls(**known)


@dataclass(frozen=True)
class CategoryResult:
    """Strict means of one category of a split.

    Attributes:
        count: Number of completions.
        measures: The measures that the protocol reports by category, and `execution` if any trace
            was executed.
    """

    count: int
    measures: Intervals


@dataclass(frozen=True)
class TaskResult:
    """Results of one task of one split.

    Attributes:
        count: Number of requested completions.
        scenes: Number of scenes, which the bootstrap resamples.
        parse_rate: Share of completions from which the protocol's answer could be parsed.
        format_rate: Share of completions with exactly the requested format.
        strict: The protocol's measures; an unparsed or missing completion counts as the worst.
        published: The same measures, with unparsed completions counted as in published figures.
        reward: The preset's `total` and terms.
        failures: Number of unparsed completions by status.
        guesses: Number of parsed completions by assumption. A completion may need several.
        guess_rate: Share of completions whose parsed answer needed an assumption; None in results
            of earlier versions.
        categories: Results by category.
        execution: Share of executed traces that solve their task; None if none was executed.
        part_named: Share of completions whose reasoning names the part to touch; None if the
            samples have no part name.
        diversity: Mean distance between the answers of one sample (1 - IoU, or DFD in diagonals);
            None with one draw.
        area_ratio: Median ratio of predicted to target box area; None for traces.
        length_ratio: Median ratio of predicted to target trace length; None for boxes.
        start_diagonal: Median distance between predicted and target first point [diagonals].
        tokens: Mean number of tokens of a completion, or None if unknown.
        coverage: Share of requested completions that exist; below 1 only for a partial
            predictions file.
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
    guesses: Mapping[str, int] = field(default_factory=dict[str, int])
    guess_rate: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The content as JSON data."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)} | {
            "categories": {
                name: {"count": result.count, **_plain(result.measures)}
                for name, result in self.categories.items()
            }
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> TaskResult:
        """The inverse of `to_json`."""
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
    """The result of an evaluation.

    Attributes:
        model: The predictor's name.
        data: The data set's folder.
        protocol: The protocol's name.
        decoding: All settings that affect the completions, besides model and samples.
        selection: Which samples were evaluated.
        wrong_instruction: The seed of the wrong instructions; None with the samples' own
            instructions.
        preset: The name of the reward preset.
        command: The command line, or empty.
        seed: Seed of the bootstrap.
        versions: Versions of the packages that affect the figures.
        seconds: Wall time of the run that finished the evaluation.
        resumed: Completions from earlier, interrupted runs.
        peak_rss_mb: Peak memory of that run [MB].
        splits: Results by split and task.
        measures: The protocol's description of each task: answer type, policy for unparsed answers,
            and under `values` each measure.
        not_measured: Number of completions that the protocol does not measure, by reason.
        rescored: The folder of the evaluation whose completions were scored again, or None.
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
        """The content of `evaluation.json`."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        splits = {
            split: {task.value: result.to_json() for task, result in tasks.items()}
            for split, tasks in self.splits.items()
        }
        return {"format": FORMAT, **plain, "command": list(self.command), "splits": splits}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Evaluation:
        """The inverse of `to_json`.

        Raises:
            ValueError: the data has another format.
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


def write_evaluation(folder: Path, evaluation: Evaluation, samples: Iterable[ScoredSample]) -> None:
    """Write `samples.jsonl` and `evaluation.json` into a folder.

    Raises:
        UserError: a file cannot be written.
    """
    write_whole(folder / SAMPLES_FILE, "".join(sample.to_line() for sample in samples))
    text = json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / EVALUATION_FILE, text + "\n")


def read_evaluation(folder: Path) -> Evaluation:
    """The result of a finished evaluation.

    Raises:
        UserError: the folder has no result, or a damaged one.
    """
    path = folder / EVALUATION_FILE
    try:
        return Evaluation.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not an evaluation ({type(error).__name__}: {error})") from error


def read_samples(folder: Path) -> list[ScoredSample]:
    """The scored samples of a finished evaluation.

    Raises:
        UserError: the folder has none, a damaged line, or fewer than `evaluation.json` counts.
    """
    path = folder / SAMPLES_FILE
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise _unreadable(path, error) from error
    samples = list[ScoredSample]()
    for number, line in enumerate(lines, start=1):
        if line:
            try:
                samples.append(ScoredSample.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{path}, line {number}: not a scored sample ({type(error).__name__}: {error})"
                ) from error
    _check_count(folder, len(samples))
    return samples


def is_intact(folder: Path) -> bool:
    """Whether the result and its samples can be read and belong together."""
    try:
        read_evaluation(folder)
        read_samples(folder)
    except UserError:
        return False
    return True


def _check_count(folder: Path, found: int) -> None:
    """Check that no line is missing; a file that was cut between two lines looks complete."""
    if not (folder / EVALUATION_FILE).is_file():
        return
    tasks = [own for split in read_evaluation(folder).splits.values() for own in split.values()]
    expected = sum(own.count for own in tasks)
    if found != expected:
        raise UserError(
            f"{folder / SAMPLES_FILE}: has {found} of {expected} samples; run the command that "
            "wrote it again"
        )


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: cannot be read ({error.strerror}); give the folder of a finished evaluation"
    )


def _fields_of(cls: type[TaskResult | Evaluation], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that exist; those that later versions added may be missing."""
    optional = (
        "coverage",
        "measures",
        "not_measured",
        "rescored",
        "length_ratio",
        "start_diagonal",
        "guesses",
        "guess_rate",
    )
    return {f.name: plain[f.name] for f in fields(cls) if f.name not in optional or f.name in plain}


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(own) for name, own in value.items()}
    return value
