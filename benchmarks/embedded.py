"""Evaluate the embedded model, and baselines that do not use the image.

Run: python benchmarks/embedded.py --out results/embedded.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from maniplvm.evaluation import (
    ConstantBaseline,
    Evaluation,
    ExecutionOptions,
    Interval,
    ModelPredictor,
    Predictor,
    RandomBaseline,
    Selection,
    TaskResult,
    evaluate,
)
from maniplvm.models.generation import Decoding
from maniplvm.models.shipped import shipped_folder
from maniplvm.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "datasets" / "sim-small"
SPLITS = ("id_test", "adapt_test", "ood_tasks", "ood_robot")
EXECUTED = SPLITS[:3]  # robosuite is six times slower
TOKENS = 80


def shown(interval: Interval | None) -> dict[str, Any] | None:
    """A rounded interval."""
    if interval is None:
        return None
    numbers = (("mean", interval.mean), ("low", interval.low), ("high", interval.high))
    return {name: round(value, 4) for name, value in numbers} | {"count": interval.count}


def figures(results: dict[Task, TaskResult]) -> dict[str, Any]:
    """The stored results of one split."""
    box, trace = results[Task.AFFORDANCE], results[Task.TRAJECTORY]
    parsed = (box.parse_rate.mean * box.count + trace.parse_rate.mean * trace.count) / (
        box.count + trace.count
    )
    return {
        "parse_rate": round(parsed, 4),
        "iou": shown(box.strict["iou"]),
        "iou_over_half": shown(box.strict["success"]),
        "dfd_diagonal": shown(trace.strict["dfd_diagonal"]),
        "endpoint_within_20px": shown(trace.strict["success"]),
        "execution": shown(trace.execution),
        "part_named": shown(box.part_named),
        "area_ratio": box.area_ratio,
    }


def main() -> None:
    """Evaluate, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench-embedded")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "embedded.json")
    options = parser.parse_args()
    started = time.monotonic()

    def measured(
        name: str, predictor: Predictor, splits: tuple[str, ...] = SPLITS, **more: Any
    ) -> Evaluation:
        print(f"{name} ...", flush=True)
        folder = options.work / name
        return evaluate(predictor, DATA, folder, selection=Selection(splits), **more)

    greedy = ModelPredictor(options.model, Decoding(max_new_tokens=TOKENS))
    sampled = ModelPredictor(options.model, Decoding(temperature=1.0, max_new_tokens=TOKENS))
    evaluations = {
        "greedy": measured("greedy", greedy, execution=ExecutionOptions(splits=EXECUTED)),
        "temperature_1": measured("temperature_1", sampled),
        "wrong_instruction": measured(
            "wrong_instruction", greedy, ("id_test",), wrong_instruction=0
        ),
        "constant": measured("constant", ConstantBaseline(str(DATA), "train")),
        "constant_per_task": measured(
            "constant_per_task", ConstantBaseline(str(DATA), "train", per_category=True)
        ),
        "random": measured("random", RandomBaseline(seed=0)),
    }
    weights = shipped_folder() / "model.safetensors"
    content = {
        "command": "python " + " ".join(["benchmarks/embedded.py", *sys.argv[1:]]),
        "seed": 0,
        "versions": dict(evaluations["greedy"].versions),
        "protocol": "maniplvm, strict; 95 % bootstrap intervals over scenes",
        "weights_mb": round(weights.stat().st_size / 1e6, 2),
        "seconds": round(time.monotonic() - started, 1),
        **{
            name: {split: figures(dict(tasks)) for split, tasks in own.splits.items()}
            for name, own in evaluations.items()
        },
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    own = content["greedy"]["id_test"]
    print(f"id_test: IoU {own['iou']['mean']}, DFD / diagonal {own['dfd_diagonal']['mean']}")


if __name__ == "__main__":
    main()
