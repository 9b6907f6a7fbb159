"""`log.jsonl`: one line of metrics for every logged step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files import read_records, write_records
from maniplvm.metric_names import OWN_METRICS, TRL_METRICS, with_current_names


def log_line(logs: Mapping[str, Any], step: int, seconds: float) -> dict[str, float]:
    """The line for one step: the metrics that are kept, by the names that TRL gives them.

    Args:
        logs: The logs that TRL passes to a `TrainerCallback`.
        step: The optimizer step.
        seconds: Training time so far.
    """
    line: dict[str, float] = {"step": step, "seconds": round(seconds, 3)}
    for name, value in logs.items():
        is_kept = name in TRL_METRICS or name in OWN_METRICS or name.startswith("reward/")
        if is_kept and isinstance(value, int | float):
            line[name] = value
    return line


def read_log(path: Path) -> Iterator[dict[str, float]]:
    """The complete lines of a log under the present metric names.

    A last line without a line end is skipped: the run was stopped while it wrote that line.

    Raises:
        UserError: a line is damaged.
    """
    return map(with_current_names, read_records(path))


def cut_log(path: Path, step: int, lines: int = 0) -> None:
    """Remove the lines after a step, because the run resumes from there.

    Args:
        path: The log. A missing log stays missing.
        step: The step of the checkpoint.
        lines: Number of lines that the log had at that checkpoint.

    Raises:
        UserError: lines are damaged or missing, for example after a power loss.
    """
    if not path.is_file():
        return
    kept = [line for line in read_log(path) if line["step"] <= step]
    if len(kept) < lines:
        raise UserError(
            f"{path}: has {len(kept)} of the {lines} lines until step {step}; restore the file, or "
            "remove it to go on without these lines"
        )
    write_records(path, kept)
