"""Duration of a GRPO step of our trainer, verl and ms-swift, side by side on the same CPUs.

Every engine starts from the same taught checkpoint, and trains on the same prompts with the same
reward, 32 completions a step and two threads in sum. The engines run in turn, `ROUNDS` times. On a
model this small a step is mostly the work around the model. The rollout of verl is
`tests_engines.verl.cpu_rollout` instead of vLLM, which adds a wait of 0.1 s to a batch.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.engines.work import HERE, Work, export, maniplvm, records, set_options, teach
from tests_engines.ms_swift.launch import run_swift
from tests_engines.verl.launch import run_verl

STEPS, SKIPPED = 12, 3
"""Steps of a run, and how many of the first ones are not counted, because they start things up."""
ROUNDS = 3
ROWS, RANKS = 32, 2
_VERL_PARTS = re.compile(r"(response_length/mean|timing_s/step):([\d.e-]+)")


@dataclass(frozen=True)
class Steps:
    """The counted steps of a run.

    Attributes:
        seconds: Duration of each step [s].
        tokens: Mean number of generated tokens of each step.
    """

    seconds: Sequence[float]
    tokens: Sequence[float]


def measure(work: Work, verl: Path, swift: Path) -> dict[str, Any]:
    """Medians of each engine, and the ratios to our trainer.

    Args:
        work: The work folder.
        verl: The interpreter of the environment with verl.
        swift: The interpreter of the environment with ms-swift.
    """
    teach(work)
    engines: dict[str, Callable[[str], Steps]] = {
        "maniplvm": lambda name: _own(work, name, shared=True),
        "maniplvm_without_shared_prefix": lambda name: _own(work, name, shared=False),
        "verl": lambda name: _verl(work, name, verl),
        "ms-swift": lambda name: _swift(work, name, swift),
    }
    runs: dict[str, list[Steps]] = {engine: [] for engine in engines}
    for number in range(ROUNDS):
        for engine, run in engines.items():
            runs[engine].append(_kept(work, f"{engine} {number}", run))
    found = {engine: _summary(each) for engine, each in runs.items()}
    own = found["maniplvm"]
    return {
        "completions_a_step": ROWS,
        "steps_counted": STEPS - SKIPPED,
        "rounds": ROUNDS,
        "threads": 2,
        "engines": found,
        "times_our_step": {
            engine: round(each["seconds"] / own["seconds"], 2) for engine, each in found.items()
        },
        "our_tokens_per_second_over_theirs": {
            engine: round(own["tokens_per_second"] / each["tokens_per_second"], 2)
            for engine, each in found.items()
        },
    }


def _kept(work: Work, label: str, run: Callable[[str], Steps]) -> Steps:
    """The steps of a run; a finished run is not repeated."""
    name = "steps-" + re.sub(r"\W+", "-", label)
    stored = work.path(f"{name}.json")
    if not stored.is_file():
        steps = run(name)
        content = {"seconds": list(steps.seconds), "tokens": list(steps.tokens)}
        stored.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return Steps(**json.loads(stored.read_text(encoding="utf-8")))


def _summary(runs: Sequence[Steps]) -> dict[str, Any]:
    seconds = [each for run in runs for each in run.seconds]
    rates = [
        ROWS * tokens / duration
        for run in runs
        for duration, tokens in zip(run.seconds, run.tokens, strict=True)
    ]
    return {
        "seconds": round(statistics.median(seconds), 3),
        "seconds_by_round": [round(statistics.median(run.seconds), 3) for run in runs],
        "tokens_per_second": round(statistics.median(rates), 1),
        "mean_tokens": round(statistics.mean(each for run in runs for each in run.tokens), 1),
    }


def _changes(work: Work) -> dict[str, Any]:
    return {"trainer.max_steps": STEPS, "trainer.save_steps": STEPS, "seed": work.seed}


def _own(work: Work, name: str, *, shared: bool) -> Steps:
    out = work.path(name)
    shutil.rmtree(out, ignore_errors=True)
    changes = {
        "model.source": work.path("taught") / "model",
        "trainer.per_device_train_batch_size": ROWS,
        "trainer.logging_steps": 1,
        "model.device": "cpu",
        "shared_prefix.enabled": shared,
        **_changes(work),
    }
    options = ["train", "grpo", str(HERE / "grpo.yaml"), "--out", str(out)]
    maniplvm(*options, *set_options(changes), threads=2)
    logged = [each for each in records(out / "log.jsonl") if "completions/mean_length" in each]
    return _counted(
        [logged[0]["seconds"], *(each["seconds"] for each in logged)],
        [each["completions/mean_length"] for each in logged],
    )


def _verl(work: Work, name: str, python: Path) -> Steps:
    folder = export(
        work, "verl", "steps-verl", ("--gpus", str(RANKS), *set_options(_changes(work)))
    )
    out, log = work.path(name), work.path(f"{name}.log")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    settings = {"trainer.val_before_train": False, "trainer.test_freq": -1}
    ended = run_verl(
        *(folder, out, log), python=python, ranks=RANKS, timeout=work.timeout, settings=settings
    )
    if ended.status != 0:
        raise SystemExit(f"verl ended with {ended.status}; see {ended.log}")
    found: dict[str, list[float]] = {}
    for key, value in _VERL_PARTS.findall(log.read_text(encoding="utf-8", errors="replace")):
        found.setdefault(key, []).append(float(value))
    seconds, tokens = found["timing_s/step"], found["response_length/mean"]
    if len(seconds) != STEPS or len(tokens) != STEPS:
        raise SystemExit(f"{log}: {len(seconds)} durations and {len(tokens)} lengths of {STEPS}")
    return Steps(seconds[SKIPPED:], tokens[SKIPPED:])


def _swift(work: Work, name: str, python: Path) -> Steps:
    changes = {"trainer.per_device_train_batch_size": ROWS, **_changes(work)}
    folder = export(work, "ms-swift", "steps-ms-swift", set_options(changes))
    out, record = work.path(name), work.path(f"{name}.jsonl")
    shutil.rmtree(out, ignore_errors=True)
    record.unlink(missing_ok=True)
    ended = run_swift(
        *(folder, out, work.path(f"{name}.log"), record),
        str(work.path("taught") / "model"),
        python=python,
        timeout=work.timeout,
        threads=2,
    )
    if ended.status != 0:
        raise SystemExit(f"ms-swift ended with {ended.status}; see {ended.log}")
    calls = records(record)
    tokenizer = _tokenizer(work)
    lengths = [
        statistics.mean(len(tokenizer(text)) + 1 for text in each["texts"]) for each in calls
    ]
    return _counted([calls[0]["time"], *(each["time"] for each in calls)], lengths)


def _tokenizer(work: Work) -> Callable[[str], list[int]]:
    from maniplvm.models import load_interface

    tokenizer = load_interface(str(work.path("taught") / "model")).tokenizer
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


def _counted(ends: Sequence[float], tokens: Sequence[float]) -> Steps:
    """Durations between the same point of successive steps, without the first ones.

    Args:
        ends: A time before the first step, and one time in each step [s].
        tokens: Mean number of generated tokens of each step.
    """
    if len(tokens) != STEPS:
        raise SystemExit(f"{len(tokens)} steps were logged, not {STEPS}")
    seconds = [end - start for start, end in pairwise(ends)]
    return Steps(seconds[SKIPPED:], list(tokens[SKIPPED:]))
