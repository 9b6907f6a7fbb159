"""How it was made: runs, evaluations, versions, and the commands that make it again."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maniplvm.evaluation.report.folders import Measured, Run
from maniplvm.evaluation.report.html.tags import visible

Facts = Sequence[tuple[str, str]]
"""Names and values, as written."""


@dataclass(frozen=True)
class Origin:
    """One run or evaluation.

    Attributes:
        title: What it is.
        facts: What is known of it.
        recipe: The text of its recipe; empty for an evaluation.
        warnings: What the run warned of.
    """

    title: str
    facts: Facts
    recipe: str = ""
    warnings: Sequence[str] = ()


def origin_of_run(run: Run) -> Origin:
    """What a run says about itself."""
    facts = run.facts
    known = [
        ("method", str(facts.get("method", "")).upper()),
        ("seed", _plain(facts.get("seed"))),
        ("prompts", _count(facts.get("samples"))),
        ("steps", _count(facts.get("steps"))),
        ("time", _duration(facts.get("wall_seconds"))),
        ("peak memory", _memory(facts.get("peak_rss_mb"))),
        ("finished", "yes" if facts.get("finished") else "no: these are the figures so far"),
        ("versions", _versions(facts.get("versions"))),
    ]
    warnings = facts.get("warnings")
    return Origin(
        f"Run {visible(str(facts.get('name', run.folder.name)))}",
        [(name, value) for name, value in known if value],
        visible(run.recipe.strip()),
        [visible(str(each)) for each in warnings] if isinstance(warnings, list) else [],
    )


def origin_of_evaluation(name: str, measured: Measured) -> Origin:
    """What an evaluation says about itself."""
    result = measured.result
    known = [
        ("model", result.model),
        ("data", result.data),
        ("protocol", result.protocol),
        ("preset", result.preset),
        ("decoding", ", ".join(f"{key} {_plain(value)}" for key, value in result.decoding.items())),
        ("selection", ", ".join(f"{k} {_plain(v)}" for k, v in result.selection.items() if v)),
        (
            "asked with",
            ""
            if result.wrong_instruction is None
            else f"wrong instructions, seed {result.wrong_instruction}",
        ),
        ("seed of the intervals", str(result.seed)),
        ("time", _duration(result.seconds)),
        ("peak memory", _memory(result.peak_rss_mb)),
        ("versions", _versions(result.versions)),
    ]
    return Origin(f"Evaluation {name}", [(key, visible(value)) for key, value in known if value])


def commands(runs: Sequence[Run], evaluations: Sequence[Measured], own: Sequence[str]) -> list[str]:
    """Every command in the order in which it must run, the page's own last."""
    found: list[Any] = [run.facts.get("command") for run in runs]
    found += [measured.result.command for measured in evaluations]
    written = [_command(command) for command in [*found, own]]
    return list(dict.fromkeys(visible(line) for line in written if line))


def _command(command: Any) -> str:
    if isinstance(command, str):
        return command
    return shlex.join(map(str, command)) if isinstance(command, list | tuple) else ""


def _versions(found: Any) -> str:
    if not isinstance(found, Mapping):
        return ""
    return ", ".join(f"{visible(str(name))} {visible(str(own))}" for name, own in found.items())


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
