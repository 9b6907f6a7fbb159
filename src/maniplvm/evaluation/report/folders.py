"""Evaluation and run folders, read back; every fault is one line that names the file."""

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
from maniplvm.tasks import Task

RUN_FORMAT = "maniplvm.run/1"
_SEED = re.compile(r"seed-\d+")


@dataclass(frozen=True)
class Measured:
    """One model on one data set, as `maniplvm evaluate` wrote it.

    Attributes:
        folder: Where it lies.
        result: What `evaluation.json` says.
        samples: The lines of `samples.jsonl`.
    """

    folder: Path
    result: Evaluation
    samples: Sequence[ScoredSample]

    @property
    def label(self) -> str:
        """A short name of the model: the last telling part of its path, with its seed."""
        parts = [part for part in self.result.model.replace("\\", "/").split("/") if part]
        telling = [part for part in parts if part not in ("model", "checkpoints", "runs", ".")]
        last = -2 if telling and _SEED.fullmatch(telling[-1]) else -1
        return " ".join(telling[last:]) or "model"

    def task(self, split: str, task: Task) -> TaskResult | None:
        """The figures of one split and task; None where it holds none."""
        return self.result.splits.get(split, {}).get(task)


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        folder: Where it lies.
        facts: What `run.json` says.
        recipe: The text of `recipe.yaml`.
        log: The lines of `log.jsonl`: finite numbers by name.
    """

    folder: Path
    facts: Mapping[str, Any]
    recipe: str
    log: Sequence[Mapping[str, float]]


def read_measured(folder: Path) -> Measured:
    """Read a folder that `maniplvm evaluate` wrote.

    Raises:
        UserError: a file is missing, damaged, or of another format.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one that `maniplvm evaluate` wrote")
    result, samples = read_evaluation(folder), read_samples(folder)
    if not samples or not result.splits:
        raise UserError(f"{folder}: holds no scored sample; evaluate again")
    return Measured(folder, result, samples)


def read_run(folder: Path) -> Run:
    """Read a folder that `maniplvm train` wrote; a run that was interrupted may lack its log.

    Raises:
        UserError: a file is missing, damaged, or of another format.
    """
    facts = _facts(folder)
    log_path = folder / "log.jsonl"
    lines = _lines(log_path) if log_path.exists() else ()
    log = [_numbers(line, f"{log_path}, line {number}") for number, line in lines]
    return Run(folder, facts, _text(folder / "recipe.yaml"), log)


def _facts(folder: Path) -> Mapping[str, Any]:
    path = folder / "run.json"
    if not path.is_file():
        raise UserError(f"{folder}: holds no run.json; name a folder that `maniplvm train` wrote")
    try:
        facts = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != RUN_FORMAT:
        raise UserError(f"{path}: its format is {found!r}, not {RUN_FORMAT!r}; train again")
    return facts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a JSON lines file with their line numbers."""
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
        str(key): float(value)
        for key, value in line.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    if "step" not in numbers:
        raise UserError(f"{where}: lacks step; name a folder that `maniplvm train` wrote")
    return numbers
