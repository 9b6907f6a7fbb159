"""Provenance of runs and evaluations, and the commands that reproduce the page."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maniplvm.evaluation.report.folders import ModelEvaluation, Run
from maniplvm.text import visible

Facts = Sequence[tuple[str, str]]
"""Names and formatted values."""


@dataclass(frozen=True)
class Provenance:
    """Provenance of one run or evaluation.

    Attributes:
        title: Title of the section.
        facts: Names and formatted values.
        recipe: The recipe, empty for an evaluation.
        warnings: Warnings of the run.
    """

    title: str
    facts: Facts
    recipe: str = ""
    warnings: Sequence[str] = ()


def run_provenance(run: Run) -> Provenance:
    """Provenance of a training run."""
    facts = run.facts
    known = [
        ("method", str(facts.get("method", "")).upper()),
        ("seed", _plain(facts.get("seed"))),
        ("prompts", _count(facts.get("samples"))),
        ("steps", _count(facts.get("steps"))),
        ("time", _duration(facts.get("wall_seconds"))),
        ("peak memory", _memory(facts.get("peak_rss_mb"))),
        ("finished", "yes" if facts.get("finished") else "no, the metrics are preliminary"),
        ("versions", _versions(facts.get("versions"))),
    ]
    warnings = facts.get("warnings")
    return Provenance(
        f"Run {visible(str(facts.get('name', run.folder.name)))}",
        [(name, value) for name, value in known if value],
        visible(run.recipe.strip()),
        [visible(str(each)) for each in warnings] if isinstance(warnings, list) else [],
    )


def evaluation_provenance(name: str, evaluation: ModelEvaluation) -> Provenance:
    """Provenance of an evaluation."""
    result = evaluation.result
    known = [
        ("model", result.model),
        ("data", result.data),
        ("protocol", result.protocol),
        ("preset", result.preset),
        ("decoding", ", ".join(f"{key} {_plain(value)}" for key, value in result.decoding.items())),
        ("selection", ", ".join(f"{k} {_plain(v)}" for k, v in result.selection.items() if v)),
        (
            "instructions",
            ""
            if result.wrong_instruction is None
            else f"wrong instructions, seed {result.wrong_instruction}",
        ),
        ("bootstrap seed", str(result.seed)),
        ("time", _duration(result.seconds)),
        ("peak memory", _memory(result.peak_rss_mb)),
        ("versions", _versions(result.versions)),
    ]
    return Provenance(
        f"Evaluation {name}", [(key, visible(value)) for key, value in known if value]
    )


def commands(
    runs: Sequence[Run], evaluations: Sequence[ModelEvaluation], own: Sequence[str]
) -> list[str]:
    """Commands in the order in which they must run, with that of the page last."""
    values: list[Any] = [run.facts.get("command") for run in runs]
    values += [evaluation.result.command for evaluation in evaluations]
    written = [_command(command) for command in [*values, own]]
    return list(dict.fromkeys(visible(line) for line in written if line))


def _command(command: Any) -> str:
    if isinstance(command, str):
        return command
    return shlex.join(map(str, command)) if isinstance(command, list | tuple) else ""


def _versions(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    return ", ".join(f"{visible(str(name))} {visible(str(own))}" for name, own in values.items())


def _plain(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _memory(megabytes: Any) -> str:
    return f"{megabytes / 1000:.1f} GB" if isinstance(megabytes, int | float) else ""
