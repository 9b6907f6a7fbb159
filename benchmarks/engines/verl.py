"""verl: a GRPO run of our recipe on Ray with two FSDP2 ranks on CPUs, and a killed server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.engines.policy import write_policy
from tests_engines.isolation import Ended
from tests_engines.verl.launch import kill_actor, run_verl

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.rewards import score_batch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
DATA = "datasets/sim-small"
HELD_OUT = "id_test"
PRESET = "dense"
MAX_NEW_TOKENS = "56"
RANKS = 2
EDGE = 5
"""Steps at both ends of a run whose rewards are compared."""
KILL_AFTER, SHORT_STEPS = 2, 4
"""The run with a killed server: it dies in the step after `KILL_AFTER` of `SHORT_STEPS`."""


@dataclass(frozen=True)
class Work:
    """Folders of the benchmark; a finished stage is not repeated."""

    root: Path
    seed: int
    python: Path
    timeout: float

    def path(self, name: str) -> Path:
        """A file or folder of the work folder."""
        return self.root / name


def measure(work: Work) -> dict[str, Any]:
    """Teach, export, train on verl, convert, evaluate, and recover from a killed server."""
    _teach(work)
    _export(work, "verl", [])
    ended = _train(work)
    model = work.path("verl-model")
    if not model.is_dir():
        _maniplvm("import-checkpoint", str(work.path("verl-run")), "--out", str(model))
    run = work.path("verl-run")
    steps = _step_rewards(run / "completions")
    first, last = min(steps), max(steps)
    rewards = [float(np.mean(steps[step])) for step in sorted(steps)]
    before = _evaluated(work, "before", work.path("taught") / "model")
    after = _evaluated(work, "after", model)
    return {
        "engine": "verl",
        "versions": _versions(work),
        "ranks": RANKS,
        "steps": len(steps),
        "prompts_a_step": len(steps[first]) // 8,
        "completions_a_step": len(steps[first]),
        "seconds": ended["seconds"],
        "reward": {
            "first_steps": float(np.mean(rewards[:EDGE])),
            "last_steps": float(np.mean(rewards[-EDGE:])),
            "edge_steps": EDGE,
            "by_step": [round(reward, 4) for reward in rewards],
        },
        "held_out": {
            "split": HELD_OUT,
            "decoding": "greedy",
            "before": _compared(before, _validated(run / "validation" / "0.jsonl")),
            "after": _compared(after, _validated(run / "validation" / f"{last}.jsonl")),
        },
        "agreement": _agreement(run),
        "recovery": _recovery(work),
    }


def _teach(work: Work) -> None:
    if not work.path("tiny").is_dir():
        unfinished = work.path("tiny.unfinished")
        write_policy(unfinished, work.seed)
        unfinished.rename(work.path("tiny"))
    changes = {"model.source": work.path("tiny"), "seed": work.seed}
    _maniplvm(
        *("train", "sft", str(HERE / "sft.yaml"), "--out", str(work.path("taught"))),
        *_set(changes),
    )


def _export(work: Work, name: str, changes: list[str]) -> Path:
    folder = work.path(name)
    if not folder.is_dir():
        source = work.path("taught") / "model"
        _maniplvm(
            *("export", "verl", str(HERE / "grpo.yaml"), "--out", str(folder)),
            *("--gpus", str(RANKS), "--val-split", HELD_OUT),
            *_set({"model.source": source, "seed": work.seed}),
            *changes,
        )
    return folder


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
    _export(work, "verl-short", _set(changes))
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
        int(path.stem): [record["score"] for record in _records(path)]
        for path in folder.glob("*.jsonl")
    }


def _agreement(run: Path) -> dict[str, Any]:
    """Largest difference of a logged reward from `score_batch` on the logged text."""
    worst, count = 0.0, 0
    for path in [*(run / "completions").glob("*.jsonl"), *(run / "validation").glob("*.jsonl")]:
        records = _records(path)
        truths = [read_ground_truth(record["gts"]) for record in records]
        scores = score_batch(
            [record["output"] for record in records],
            [sample for sample, _ in truths],
            PRESET,
            [frame for _, frame in truths],
        )
        pairs = zip(records, scores, strict=True)
        worst = max(worst, *(abs(record["score"] - score.total) for record, score in pairs))
        count += len(records)
    return {"completions": count, "largest_difference": worst}


def _evaluated(work: Work, name: str, model: Path) -> dict[str, tuple[str, float]]:
    """Greedy completions and rewards of the held-out samples by id, from `maniplvm evaluate`."""
    out = work.path(f"evaluation-{name}")
    _maniplvm(
        *("evaluate", str(model), "--data", DATA, "--splits", HELD_OUT, "--task", "affordance"),
        *("--preset", PRESET, "--max-new-tokens", MAX_NEW_TOKENS, "--out", str(out)),
    )
    return {
        record["id"]: (record["text"], record["reward"])
        for record in _records(out / "samples.jsonl")
    }


def _validated(path: Path) -> dict[str, tuple[str, float]]:
    """The same from the validation that verl logged."""
    return {
        read_ground_truth(record["gts"])[0].id: (record["output"], record["score"])
        for record in _records(path)
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


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _set(changes: Mapping[str, Any]) -> list[str]:
    return [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]


def _maniplvm(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "maniplvm", *words], cwd=ROOT, check=True)


def _versions(work: Work) -> dict[str, str]:
    names = ("verl", "ray", "torch", "transformers", "tensordict", "TransferQueue")
    code = (
        "import json,sys; from importlib.metadata import version; "
        "print(json.dumps({'python': sys.version.split()[0]} | {n: version(n) for n in sys.argv[1:]}))"
    )
    printed = subprocess.run(
        [str(work.python), "-c", code, *names], check=True, capture_output=True, text=True
    )
    return json.loads(printed.stdout)
