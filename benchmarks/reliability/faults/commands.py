"""The commands that write, with the smallest settings, and how two of their outputs are compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.faults.inputs import Inputs

_TIMES = ("seconds", "step_time")
_SIMULATED = ("--tasks", "push-v3,drawer-open-v3", "--splits", "train", "--size", "64")


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Attributes:
        name: A short name.
        arguments: The arguments of `maniplvm` for an output path.
        difference: Compares an output with that of an uninterrupted command; None if they are
            equal, else one line.
        done: Words of the error line of a command that finds its output finished; empty if such a
            command succeeds.
        output: Name of the output path in a folder.
    """

    name: str
    arguments: Callable[[Path], Sequence[str]]
    difference: Callable[[Path, Path], str | None]
    done: str = ""
    output: str = "out"


def interruptible_commands(inputs: Inputs) -> dict[str, Writer]:
    """The commands that are killed, by name."""
    data = str(inputs.data)
    evaluated = ("--data", data, "--splits", "adapt_test", "--max-new-tokens", "40")

    def train(method: str) -> Callable[[Path], Sequence[str]]:
        return lambda out: ("train", method, str(inputs.recipe(method)), "--out", str(out))

    writers = (
        Writer(
            "import",
            lambda out: ("data", "import", "jsonl", str(inputs.source), "--out", str(out)),
            different_bytes,
            "already holds a data set",
        ),
        Writer(
            "simulate",
            lambda out: (
                "simulate",
                "--out",
                str(out),
                *_SIMULATED,
                "--per-task",
                "2",
                "--views",
                "1",
            ),
            different_bytes,
            "already exists",
        ),
        Writer("sft", train("sft"), different_runs),
        Writer("grpo", train("grpo"), different_runs),
        Writer(
            "evaluate",
            lambda out: ("evaluate", "embedded", *evaluated, "--workers", "1", "--out", str(out)),
            different_evaluations,
        ),
        Writer(
            "experiment",
            lambda out: (
                *("experiment", str(inputs.grid), "--out", str(out), "--jobs", "1"),
                *("--results", str(out / "results")),
            ),
            different_experiments,
        ),
        Writer(
            "quickstart",
            lambda out: (
                *("quickstart", "--out", str(out), "--data", data, "--limit", "2"),
                *("--recipe", str(inputs.recipe("grpo"))),
            ),
            different_quickstarts,
        ),
    )
    return {writer.name: writer for writer in writers}


def different_bytes(out: Path, expected: Path) -> str | None:
    """Compare all files of two folders."""
    mine, theirs = (
        {str(path.relative_to(folder)): path.read_bytes() for path in files_of(folder)}
        for folder in (out, expected)
    )
    names = sorted(mine.keys() ^ theirs.keys()) or [n for n in mine if mine[n] != theirs[n]]
    return f"{', '.join(names[:3])} differ" if names else leftovers(out)


def different_runs(out: Path, expected: Path) -> str | None:
    """Compare weights, log and record of two run folders."""
    import torch
    from safetensors.torch import load_file

    mine, theirs = (load_file(run / "model" / "model.safetensors") for run in (out, expected))
    if mine.keys() != theirs.keys():
        return "the names of the weights differ"
    for name, value in theirs.items():
        if not torch.allclose(mine[name].float(), value.float(), rtol=1e-4, atol=1e-6):
            return f"the weight {name} differs"
    if not _close(_log(out), _log(expected)):
        return "log.jsonl differs"
    records = [json.loads((run / "run.json").read_text("utf-8")) for run in (out, expected)]
    kept = [{name: record[name] for name in ("steps", "finished", "samples")} for record in records]
    if kept[0] != kept[1]:
        return f"run.json: {kept[0]}, not {kept[1]}"
    return _other_names(out, expected) or leftovers(out)


def different_evaluations(out: Path, expected: Path) -> str | None:
    """Compare the records of two evaluation folders."""
    if (out / "samples.jsonl").read_bytes() != (expected / "samples.jsonl").read_bytes():
        return f"{out.name}: samples.jsonl differs"
    mine, theirs = (
        json.loads((folder / "evaluation.json").read_text("utf-8")) for folder in (out, expected)
    )
    for own in (mine, theirs):
        for name in ("seconds", "resumed", "peak_rss_mb", "command", "model"):
            own.pop(name)
    if mine != theirs:
        return f"{out.name}: evaluation.json differs"
    lines = [
        sorted((f / "predictions.jsonl").read_text("utf-8").splitlines()) for f in (out, expected)
    ]
    if lines[0] != lines[1]:
        return f"{out.name}: predictions.jsonl differs"
    return _other_names(out, expected)


def different_experiments(out: Path, expected: Path) -> str | None:
    """Compare results, evaluations and trainings of two grids."""
    contents = list[Any]()
    for work in (out, expected):
        content = json.loads((work / "results" / "small.json").read_text("utf-8"))
        for arm in content["arms"].values():
            arm.pop("cost")
            arm.pop("commands", None)
            for curve in arm.get("curves", ()):
                for point in curve["points"]:
                    point.pop("seconds")
        contents.append({**content, "command": None, "versions": None})
    if not _close(*contents):
        return "results/small.json differs"
    run = Path("sft") / "seed-0"
    return (
        different_runs(out / run / "run", expected / run / "run")
        or different_evaluations(out / run / "greedy", expected / run / "greedy")
        or different_evaluations(out / run / "sampled", expected / run / "sampled")
        or different_evaluations(out / "base" / "greedy", expected / "base" / "greedy")
        or _other_names(out, expected)
        or leftovers(out)
    )


def different_quickstarts(out: Path, expected: Path) -> str | None:
    """Compare results, evaluations and training of two quickstarts."""
    results = [
        json.loads((folder / "quickstart.json").read_text("utf-8")) for folder in (out, expected)
    ]
    if not _close(*results):
        return "quickstart.json differs"
    for name in ("before", "before-sampled", "after", "after-sampled"):
        found = different_evaluations(out / "evaluations" / name, expected / "evaluations" / name)
        if found is not None:
            return found
    if not (out / "report.html").read_text("utf-8").rstrip().endswith("</html>"):
        return "report.html is cut"
    return (
        different_runs(out / "grpo", expected / "grpo")
        or _other_names(out, expected)
        or leftovers(out)
    )


def files_of(folder: Path) -> Iterable[Path]:
    """All files of a folder and its subfolders."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def leftovers(out: Path) -> str | None:
    """Unfinished files and folders in or beside an output; None if there are none."""
    beside = [path for path in out.parent.glob(f"{out.name}?*") if path != out]
    found = [*beside, *out.rglob("*.unfinished"), *out.rglob("*.committed")]
    return f"left over: {', '.join(path.name for path in found[:3])}" if found else None


def _other_names(out: Path, expected: Path) -> str | None:
    """Files that only one of two folders has. Checkpoints are compared by their number."""
    mine, theirs = ({str(p.relative_to(f)) for p in files_of(f)} for f in (out, expected))
    return f"files differ: {', '.join(sorted(mine ^ theirs)[:3])}" if mine != theirs else None


def _log(run: Path) -> list[dict[str, float]]:
    lines = (run / "log.jsonl").read_text("utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in _TIMES} for line in lines]


def _close(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers with a tolerance."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_close(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-5)
    return one == other
