"""ms-swift: a short GRPO run of our recipe in one process on the CPU."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
from benchmarks.engines.work import (
    HELD_OUT,
    Scored,
    Work,
    agreement,
    evaluated,
    export,
    records,
    reward_summary,
    set_options,
    teach,
    versions,
)
from tests_engines.ms_swift.launch import run_swift

STEPS = 10
_PACKAGES = ("ms_swift", "torch", "transformers", "trl")


def measure(work: Work) -> dict[str, Any]:
    """Teach, export, train on ms-swift, and evaluate its checkpoint."""
    teach(work)
    changes = {"trainer.max_steps": STEPS, "trainer.save_steps": STEPS}
    export(work, "ms-swift", "ms-swift", set_options(changes))
    seconds = _train(work)
    calls = records(work.path("ms-swift-rewards.jsonl"))
    before = evaluated(work, "before", work.path("taught") / "model")
    after = evaluated(work, "ms-swift", work.path("ms-swift-run") / f"checkpoint-{STEPS}")
    return {
        "engine": "ms-swift",
        "versions": versions(work, _PACKAGES),
        "steps": len(calls),
        "completions_a_step": len(calls[0]["texts"]),
        "seconds": seconds,
        "reward": reward_summary(call["values"] for call in calls),
        "held_out": {
            "split": HELD_OUT,
            "decoding": "greedy",
            "samples": len(after),
            "before": _mean(before),
            "after": _mean(after),
        },
        "agreement": agreement(
            Scored(*each)
            for call in calls
            for each in zip(call["texts"], call["truths"], call["values"], strict=True)
        ),
    }


def _train(work: Work) -> int:
    """The run; its duration [s] is kept, so that a later call can report it."""
    done = work.path("ms-swift-run.json")
    if done.is_file():
        return json.loads(done.read_text(encoding="utf-8"))["seconds"]
    out, record = work.path("ms-swift-run"), work.path("ms-swift-rewards.jsonl")
    shutil.rmtree(out, ignore_errors=True)
    record.unlink(missing_ok=True)
    ended = run_swift(
        *(work.path("ms-swift"), out, work.path("ms-swift-run.log"), record),
        str(work.path("taught") / "model"),
        python=work.python,
        timeout=work.timeout,
    )
    if ended.status != 0:
        raise SystemExit(f"ms-swift ended with {ended.status}; see {ended.log}")
    seconds = round(ended.seconds)
    done.write_text(json.dumps({"seconds": seconds}) + "\n", encoding="utf-8")
    return seconds


def _mean(evaluation: dict[str, tuple[str, float]]) -> float:
    return float(np.mean([reward for _, reward in evaluation.values()]))
