"""verl: a GRPO run of our recipe on Ray with two FSDP2 ranks on CPUs, and a killed server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.engines.work import (
    HELD_OUT,
    Scored,
    Work,
    agreement,
    evaluated,
    export,
    maniplvm,
    records,
    reward_summary,
    set_options,
    teach,
    versions,
)
from tests_engines.isolation import Ended
from tests_engines.verl.launch import kill_actor, run_verl

from maniplvm.engines.ground_truth import read_ground_truth

RANKS = 2
KILL_AFTER, SHORT_STEPS = 2, 4
"""The run with a killed server: it dies in the step after `KILL_AFTER` of `SHORT_STEPS`."""
_OPTIONS = ("--gpus", str(RANKS), "--val-split", HELD_OUT)
_PACKAGES = ("verl", "ray", "torch", "transformers", "tensordict", "TransferQueue")


def measure(work: Work) -> dict[str, Any]:
    """Teach, export, train on verl, convert, evaluate, and recover from a killed server."""
    teach(work)
    export(work, "verl", "verl", _OPTIONS)
    ended = _train(work)
    model = work.path("verl-model")
    if not model.is_dir():
        maniplvm("import-checkpoint", str(work.path("verl-run")), "--out", str(model))
    run = work.path("verl-run")
    steps = _step_rewards(run / "completions")
    first, last = min(steps), max(steps)
    before = evaluated(work, "before", work.path("taught") / "model")
    after = evaluated(work, "after", model)
    return {
        "engine": "verl",
        "versions": versions(work, _PACKAGES),
        "ranks": RANKS,
        "steps": len(steps),
        "prompts_a_step": len(steps[first]) // 8,
        "completions_a_step": len(steps[first]),
        "seconds": ended["seconds"],
        "reward": reward_summary(steps[step] for step in sorted(steps)),
        "held_out": {
            "split": HELD_OUT,
            "decoding": "greedy",
            "before": _compared(before, _validated(run / "validation" / "0.jsonl")),
            "after": _compared(after, _validated(run / "validation" / f"{last}.jsonl")),
        },
        "agreement": agreement(_scored(run)),
        "recovery": _recovery(work),
    }


def _train(work: Work) -> dict[str, Any]:
    """The run; its duration is kept, so that a later call can report it."""
    record = work.path("verl-run.json")
    if record.is_file():
        return json.loads(record.read_text(encoding="utf-8"))
    out = work.path("verl-run")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    ended = _run(work, "verl", out, "verl-run.log")
    if ended.status != 0:
        raise SystemExit(f"verl ended with {ended.status}; see {ended.log}")
    content = {"seconds": round(ended.seconds)}
    record.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return content


def _run(work: Work, folder: str, out: Path, log: str, **more: Any) -> Ended:
    return run_verl(
        *(work.path(folder), out, work.path(log)),
        **{"python": work.python, "ranks": RANKS, "timeout": work.timeout, **more},
    )


def _recovery(work: Work) -> dict[str, Any]:
    """Kill a server of completions during a step, then run the same command again."""
    changes = {"trainer.max_steps": SHORT_STEPS, "trainer.save_steps": 1}
    export(work, "verl", "verl-short", [*_OPTIONS, *set_options(changes)])
    out = work.path("verl-short-run")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    settings = {"trainer.val_before_train": False, "trainer.test_freq": -1}
    killed = False

    def kill_once(process: Any, text: str) -> None:
        nonlocal killed
        if not killed and f"step:{KILL_AFTER} - " in text:
            killed = kill_actor(process, "Server")

    broken = _run(work, "verl-short", out, "verl-killed.log", settings=settings, watch=kill_once)
    latest = out / "latest_checkpointed_iteration.txt"
    saved = int(latest.read_text(encoding="utf-8")) if latest.is_file() else 0
    again = _run(work, "verl-short", out, "verl-resumed.log", settings=settings)
    done = sorted(_step_rewards(out / "completions"))
    return {
        "killed": "the rollout server of rank 0 or 1, with SIGKILL",
        "was_killed": killed,
        "killed_after_step": KILL_AFTER,
        "status": broken.status,
        "seconds": round(broken.seconds),
        "time_limit": work.timeout,
        "saved_step": saved,
        "same_command_status": again.status,
        "same_command_seconds": round(again.seconds),
        "steps_done": done,
        "expected_steps": SHORT_STEPS,
    }


def _step_rewards(folder: Path) -> dict[int, list[float]]:
    """The rewards of all completions by step, as verl logged them."""
    return {
        int(path.stem): [record["score"] for record in records(path)]
        for path in folder.glob("*.jsonl")
    }


def _scored(run: Path) -> Iterator[Scored]:
    """All completions of training and validation that verl logged."""
    for path in [*(run / "completions").glob("*.jsonl"), *(run / "validation").glob("*.jsonl")]:
        for record in records(path):
            yield Scored(record["output"], record["gts"], record["score"])


def _validated(path: Path) -> dict[str, tuple[str, float]]:
    """The same from the validation that verl logged."""
    return {
        read_ground_truth(record["gts"])[0].id: (record["output"], record["score"])
        for record in records(path)
    }


def _compared(
    ours: Mapping[str, tuple[str, float]], theirs: Mapping[str, tuple[str, float]]
) -> dict[str, Any]:
    """Mean rewards of both, and how often both wrote the same completion."""
    if ours.keys() != theirs.keys():
        raise SystemExit("maniplvm evaluate and verl validated different samples")
    return {
        "samples": len(ours),
        "maniplvm_evaluate": float(np.mean([reward for _, reward in ours.values()])),
        "verl_validation": float(np.mean([reward for _, reward in theirs.values()])),
        "same_completions": sum(ours[each][0] == theirs[each][0] for each in ours),
    }
