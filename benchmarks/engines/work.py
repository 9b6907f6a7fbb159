"""What the runs on every engine share: the model, the work folder, agreement and evaluation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.engines.policy import write_policy

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.rewards import score_batch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
DATA = "datasets/sim-small"
HELD_OUT = "id_test"
PRESET = "dense"
MAX_NEW_TOKENS = "56"
EDGE = 5
"""Steps at both ends of a run whose rewards are compared."""


@dataclass(frozen=True)
class Work:
    """Folders of the benchmark; a finished stage is not repeated.

    Attributes:
        root: The work folder.
        seed: Seed of the checkpoint, of SFT and of GRPO.
        python: The interpreter of the engine's environment.
        timeout: Time limit of one run of the engine [s].
    """

    root: Path
    seed: int
    python: Path
    timeout: float

    def path(self, name: str) -> Path:
        """A file or folder of the work folder."""
        return self.root / name


@dataclass(frozen=True)
class Scored:
    """A completion that an engine scored: its text, its ground truth, and the logged reward."""

    text: str
    truth: str
    reward: float


def teach(work: Work) -> None:
    """Write the tiny checkpoint, and train it with SFT until it writes answers."""
    if not work.path("tiny").is_dir():
        unfinished = work.path("tiny.unfinished")
        write_policy(unfinished, work.seed)
        unfinished.rename(work.path("tiny"))
    changes = {"model.source": work.path("tiny"), "seed": work.seed}
    maniplvm(
        *("train", "sft", str(HERE / "sft.yaml"), "--out", str(work.path("taught"))),
        *set_options(changes),
    )


def export(work: Work, engine: str, name: str, options: Iterable[str]) -> Path:
    """Export the GRPO recipe for an engine to a folder of the work folder."""
    folder = work.path(name)
    if not folder.is_dir():
        source = work.path("taught") / "model"
        maniplvm(
            *("export", engine, str(HERE / "grpo.yaml"), "--out", str(folder)),
            *set_options({"model.source": source, "seed": work.seed}),
            *options,
        )
    return folder


def reward_summary(by_step: Iterable[Iterable[float]]) -> dict[str, Any]:
    """Mean rewards of all completions by step, and of the first and last steps."""
    rewards = [float(np.mean(list(step))) for step in by_step]
    return {
        "first_steps": float(np.mean(rewards[:EDGE])),
        "last_steps": float(np.mean(rewards[-EDGE:])),
        "edge_steps": EDGE,
        "by_step": [round(reward, 4) for reward in rewards],
    }


def agreement(completions: Iterable[Scored]) -> dict[str, Any]:
    """Largest difference of a logged reward from `score_batch` on the logged text."""
    listed = list(completions)
    truths = [read_ground_truth(each.truth) for each in listed]
    scores = score_batch(
        [each.text for each in listed],
        [sample for sample, _ in truths],
        PRESET,
        [frame for _, frame in truths],
    )
    pairs = zip(listed, scores, strict=True)
    worst = max(abs(each.reward - score.total) for each, score in pairs)
    return {"completions": len(listed), "largest_difference": worst}


def evaluated(work: Work, name: str, model: Path) -> dict[str, tuple[str, float]]:
    """Greedy completions and rewards of the held-out samples by id, from `maniplvm evaluate`."""
    out = work.path(f"evaluation-{name}")
    maniplvm(
        *("evaluate", str(model), "--data", DATA, "--splits", HELD_OUT, "--task", "affordance"),
        *("--preset", PRESET, "--max-new-tokens", MAX_NEW_TOKENS, "--out", str(out)),
    )
    return {
        record["id"]: (record["text"], record["reward"])
        for record in records(out / "samples.jsonl")
    }


def records(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def set_options(changes: Mapping[str, Any]) -> list[str]:
    """Changes of a recipe as options of the command line."""
    return [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]


def maniplvm(*words: str, threads: int = 1) -> None:
    """Run a command of this package; its failure ends the benchmark."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "maniplvm", *words]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def versions(work: Work, names: Iterable[str]) -> dict[str, str]:
    """Versions of packages in the engine's environment, and of its Python."""
    code = (
        "import json,sys; from importlib.metadata import version; "
        "print(json.dumps({'python': sys.version.split()[0]} | {n: version(n) for n in sys.argv[1:]}))"
    )
    printed = subprocess.run(
        [str(work.python), "-c", code, *names], check=True, capture_output=True, text=True
    )
    return json.loads(printed.stdout)
