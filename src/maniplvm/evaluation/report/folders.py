"""Reading of evaluation folders and run folders. Every error names the file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.records import (
    Evaluation,
    ScoredSample,
    TaskResult,
    read_evaluation,
    read_samples,
)
from maniplvm.metric_names import current_name
from maniplvm.tasks import Task

RUN_FORMAT = "maniplvm.run/1"
_SEED = re.compile(r"seed-\d+")


@dataclass(frozen=True)
class ModelEvaluation:
    """Evaluation of one model on one dataset, as written by `maniplvm evaluate`.

    Attributes:
        folder: The evaluation folder.
        result: Content of `evaluation.json`.
        samples: Lines of `samples.jsonl`.
    """

    folder: Path
    result: Evaluation
    samples: Sequence[ScoredSample]

    @property
    def label(self) -> str:
        """Short name of the model: the last distinctive part of its path, with its seed."""
        parts = [part for part in self.result.model.replace("\\", "/").split("/") if part]
        names = [part for part in parts if part not in ("model", "checkpoints", "runs", ".")]
        last = -2 if names and _SEED.fullmatch(names[-1]) else -1
        return " ".join(names[last:]) or "model"

    def task(self, split: str, task: Task) -> TaskResult | None:
        """Metrics of one split and task, or None."""
        return self.result.splits.get(split, {}).get(task)


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        folder: The run folder.
        facts: Content of `run.json`.
        recipe: Content of `recipe.yaml`.
        log: Lines of `log.jsonl` as finite numbers by name.
    """

    folder: Path
    facts: Mapping[str, Any]
    recipe: str
    log: Sequence[Mapping[str, float]]


def read_model_evaluation(folder: Path) -> ModelEvaluation:
    """Read an evaluation folder.

    Raises:
        UserError: A file is missing or damaged, or has another format.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; give an evaluation folder of `maniplvm evaluate`"
        )
    result, samples = read_evaluation(folder), read_samples(folder)
    if not samples or not result.splits:
        raise UserError(f"{folder}: has no scored samples; run `maniplvm evaluate` again")
    return ModelEvaluation(folder, result, samples)


def read_run(folder: Path) -> Run:
    """Read a run folder. The log of an interrupted run may be missing.

    Raises:
        UserError: A file is missing or damaged, or has another format.
    """
    facts = _facts(folder)
    log_path = folder / "log.jsonl"
    lines = _lines(log_path) if log_path.exists() else ()
    log = [_numbers(line, f"{log_path}, line {number}") for number, line in lines]
    return Run(folder, facts, _text(folder / "recipe.yaml"), log)


def _facts(folder: Path) -> Mapping[str, Any]:
    path = folder / "run.json"
    if not path.is_file():
        raise UserError(f"{folder}: has no run.json; give a run folder of `maniplvm train`")
    try:
        facts = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != RUN_FORMAT:
        raise UserError(
            f"{path}: its format is {found!r}, not {RUN_FORMAT!r}; run `maniplvm train` again"
        )
    return facts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Objects of a JSON lines file with their line numbers."""
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(value, dict):
            raise UserError(f"{path}, line {number}: expected an object")
        yield number, value


def _numbers(line: Mapping[str, Any], where: str) -> Mapping[str, float]:
    numbers = {
        current_name(str(key)): float(value)
        for key, value in line.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    if "step" not in numbers:
        raise UserError(f"{where}: has no step; give a run folder of `maniplvm train`")
    return numbers
