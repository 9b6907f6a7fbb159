"""Interpolate the weights of a trained model and its starting model, and evaluate several alphas.

Run: python benchmarks/weight_interpolation.py --out results/blend.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from embedded import TOKENS, figures
from maniplvm.evaluation import Interval, ModelPredictor, Selection, evaluate
from maniplvm.experiments import Folders, rounded
from maniplvm.models import Decoding, interpolate_weights
from maniplvm.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "datasets" / "sim-small"
SPLITS = ("adapt_test", "id_test", "ood_tasks")
ALPHAS = (0.0, 0.5, 0.75, 1.0)


def main() -> None:
    """Interpolate and evaluate for each alpha, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    trained = Folders(Path("runs/quickstart")).run("grpo") / "model"
    parser.add_argument(
        "--model", type=Path, default=trained, help="model trained by the quickstart"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "blend.json")
    options = parser.parse_args()
    measured, versions = {}, {}
    with tempfile.TemporaryDirectory() as work:
        for alpha in ALPHAS:
            name = f"share_{round(100 * alpha)}"
            folder = Path(work) / "models" / name
            model = interpolate_weights("embedded", options.model, folder, alpha=alpha)
            predictor = ModelPredictor(model, Decoding(max_new_tokens=TOKENS))
            evaluation = evaluate(predictor, DATA, Path(work) / name, selection=Selection(SPLITS))
            versions = dict(evaluation.versions)
            measured[name] = {
                split: figures(dict(tasks))
                | {"trace_reward": task_reward(tasks[Task.TRAJECTORY].reward)}
                for split, tasks in evaluation.splits.items()
            }
            print(name, {split: own["iou"]["mean"] for split, own in measured[name].items()})
    content = {
        "command": "python " + " ".join(["benchmarks/weight_interpolation.py", *sys.argv[1:]]),
        "seed": 0,
        "versions": versions,
        "protocol": "maniplvm, strict, greedy; share_N: alpha is N percent",
        **measured,
    }
    options.out.write_text(json.dumps(rounded(content), indent=1) + "\n", encoding="utf-8")


def task_reward(reward: Mapping[str, Interval]) -> float:
    """Mean reward of preset `paper` without the format term."""
    return reward["total"].mean - reward["format"].mean


if __name__ == "__main__":
    main()
