"""Servers that send anything: `evaluate --server` ends with one line and keeps its completions."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reliability.hostile.forks import (
    Outcome,
    in_processes,
    output_fault,
    run_command,
    user_error_fault,
)
from benchmarks.reliability.hostile.server_process import (
    ANSWERED,
    GOOD_TEXT,
    KEY,
    REFUSED,
    SLOW,
    hostile_server,
)
from benchmarks.reliability.result import PartResult, Settings

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "datasets" / "sim-small"
SAMPLES = 4
MUTATIONS = 170
RESUMED = 5
"""Each attempt with such a number is resumed against a good server."""
LIMIT_S = 30.0
MEMORY_MB = 700
TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Attempt:
    """One evaluation against one behaviour.

    Attributes:
        number: Its number, which names its folder.
        behaviour: Name of the behaviour.
        good: Good responses before it.
        retries: Value of `--retries`.
    """

    number: int
    behaviour: str
    good: int
    retries: int


def run(settings: Settings) -> PartResult:
    """Evaluate against a real server with every behaviour, and with random damage."""
    _import_commands()
    os.environ["OPENAI_API_KEY"] = KEY
    attempts = _attempts(settings)
    result = PartResult(details={"behaviours": len(REFUSED) + len(ANSWERED) + len(SLOW) + 1})
    with hostile_server() as (port, end):
        work = partial(_try, port=port, folder=settings.folder)
        outcomes = in_processes(work, attempts, settings.jobs)
        canary = end()
    kinds = Counter(kind for _, kind, _ in outcomes)
    for attempt, (failure, _, _) in zip(attempts, outcomes, strict=True):
        result.record(None if failure is None else f"{attempt}: {failure}")
    result.record(f"{canary} requests followed a redirect" if canary else None)
    result.details |= {
        "refused": kinds["refused"],
        "answered": kinds["answered"],
        "slowest_s": round(max(seconds for _, _, seconds in outcomes), 1),
    }
    return result


def _attempts(settings: Settings) -> list[Attempt]:
    rng = random.Random(settings.seed)  # noqa: S311
    names = [*REFUSED, *ANSWERED, *SLOW, "redirect"]
    if settings.quick:
        chosen = [
            (name, 2) for name in ("html", "drip-headers", "gzip-bomb", "redirect", "controls")
        ]
    else:
        chosen = [(name, good) for name in names for good in ((2,) if name in SLOW else (0, 2))]
        start = rng.randrange(10**6)
        chosen += [(f"mutated{start + i}", rng.randrange(SAMPLES)) for i in range(MUTATIONS)]
    return [
        Attempt(number, name, good, retries=int(number % 10 == 0 and name not in SLOW))
        for number, (name, good) in enumerate(chosen)
    ]


def _import_commands() -> None:
    """Import all that a command needs, before processes are forked."""
    import httpx2  # noqa: F401

    import maniplvm.cli.app  # noqa: F401
    from maniplvm.data import open_dataset

    next(iter(open_dataset(DATA).samples("id_test")))


def _command(attempt: Attempt, port: int, out: Path, behaviour: str) -> list[str]:
    server = f"http://127.0.0.1:{port}/{behaviour}/{attempt.good}/{attempt.number}/v1"
    return [
        *("evaluate", "qwen3-vl", "--server", server, "--data", str(DATA), "--out", str(out)),
        *("--splits", "id_test", "--task", "affordance", "--limit", str(SAMPLES), "--no-execute"),
        *("--retries", str(attempt.retries), "--max-consecutive-failures", "1"),
        *("--timeout", str(TIMEOUT_S), "--connect-timeout", "1", "--concurrency", "1"),
    ]


def _try(attempt: Attempt, port: int, folder: Path) -> tuple[str | None, str, float]:
    out = folder / f"out-{attempt.number}"
    command = _command(attempt, port, out, attempt.behaviour)
    outcome = run_command(command, LIMIT_S, MEMORY_MB, folder)
    failure = _fault(attempt, outcome, out, port)
    if failure is None and outcome.status == 2 and attempt.number % RESUMED == 0:
        again = run_command(_command(attempt, port, out, "good"), LIMIT_S, MEMORY_MB, folder)
        if again.status != 0 or len(_stored(out)) != SAMPLES:
            failure = f"not resumed: {again.err[-200:]!r}"
    shutil.rmtree(out, ignore_errors=True)
    return failure, "refused" if outcome.status == 2 else "answered", outcome.seconds


def _fault(attempt: Attempt, outcome: Outcome, out: Path, port: int) -> str | None:
    """What is wrong with an outcome, or None."""
    expected = {**dict.fromkeys([*REFUSED, *SLOW, "redirect"], 2), **dict.fromkeys(ANSWERED, 0)}
    if attempt.behaviour in expected and outcome.status != expected[attempt.behaviour]:
        return f"status {outcome.status}: {outcome.err[-300:]!r}"
    fault = output_fault(outcome) if outcome.status == 0 else user_error_fault(outcome)
    if fault is not None:
        return fault
    if outcome.status == 2 and f"127.0.0.1:{port}" not in outcome.err.splitlines()[-1]:
        return f"the line does not name the server: {outcome.err[-300:]!r}"
    written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    if KEY.encode() in written or KEY in outcome.out + outcome.err:
        return "the key is in an output"
    try:
        stored = _stored(out)
    except ValueError as error:
        return f"predictions.jsonl is damaged: {error}"
    good = sum(record["text"] == GOOD_TEXT for record in stored)
    if good < min(attempt.good, SAMPLES) or (outcome.status == 0 and len(stored) != SAMPLES):
        return f"{len(stored)} completions stored, {good} of them good"
    return None


def _stored(out: Path) -> list[dict[str, Any]]:
    path = out / "predictions.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
