"""Compare the shipped policy, a policy trained with GRPO, and baselines on all simulated test splits.

The script evaluates each model with execution in simulation, and compares the results as `maniplvm compare`
does. An interrupted run resumes with the same command.

Run: python benchmarks/simulator_table.py --out results/simulator_table.json
Then: python -m maniplvm.experiments.pages simulator-table
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from maniplvm.evaluation import (
    BASELINES,
    ExecutionOptions,
    ModelPredictor,
    Predictor,
    Selection,
    evaluate,
    read_evaluation,
    resolve_baseline,
)
from maniplvm.evaluation.predictors.baselines import PREFIX
from maniplvm.evaluation.tables import ComparisonOptions, compare_runs
from maniplvm.experiments import EVALUATED, Folders, rounded
from maniplvm.models import Decoding

ROOT = Path(__file__).resolve().parents[1]
DATA = "datasets/sim-small"
TOKENS = 80
IN_DOMAIN, OUT_OF_DOMAIN = ("id_test",), ("ood_tasks", "ood_robot")
BASE, TRAINED = "embedded", "embedded + GRPO"


def predictors(model: Path) -> dict[str, Predictor]:
    """All evaluated predictors, by their names in the table."""
    greedy = Decoding(max_new_tokens=TOKENS)
    baselines = {
        name: resolve_baseline(PREFIX + name, f"{DATA}:train", seed=0)
        for name in reversed(BASELINES)
    }
    return {
        **baselines,
        BASE: ModelPredictor("embedded", greedy),
        TRAINED: ModelPredictor(str(model), greedy),
    }


def measure(options: argparse.Namespace) -> dict[str, Path]:
    """Evaluate all predictors; return the folders by name."""
    selection = Selection(EVALUATED, limit=options.limit)
    folders: dict[str, Path] = {}
    for name, predictor in predictors(options.model).items():
        print(f"{name} ...", flush=True)
        folders[name] = options.work / name.replace(" + ", "-").lower()
        evaluate(
            predictor,
            DATA,
            folders[name],
            selection=selection,
            execution=ExecutionOptions(options.workers, options.execute_splits)
            if options.execute
            else None,
        )
    return folders


def main() -> None:
    """Evaluate, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    trained = Folders(Path("runs/quickstart")).model("grpo")
    parser.add_argument("--model", type=Path, default=trained, help="a policy trained by GRPO")
    parser.add_argument("--limit", type=int, help="maximum number of samples per split and task")
    parser.add_argument("--workers", type=int, default=2, help="number of processes for execution")
    parser.add_argument(
        "--execute-splits", nargs="+", help="splits whose traces are executed; default: all"
    )
    parser.add_argument("--no-execute", dest="execute", action="store_false")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench-simulator-table")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "simulator_table.json")
    options = parser.parse_args()
    if not options.model.is_dir():
        parser.error(
            f"{options.model} is not a model; run `make quickstart` first, or give --model"
        )
    if options.execute_splits is not None:
        options.execute_splits = tuple(options.execute_splits)
    folders = measure(options)
    options_shown = ComparisonOptions(
        names=list(folders),
        in_domain=IN_DOMAIN,
        out_of_domain=OUT_OF_DOMAIN,
        against=BASE,
        published=False,  # published results are for photographs, not for simulated images
    )
    page = compare_runs(list(folders.values()), options_shown)
    content = {
        "command": "python " + " ".join(["benchmarks/simulator_table.py", *sys.argv[1:]]),
        "seed": options_shown.seed,
        "versions": dict(read_evaluation(folders[BASE]).versions),
        "page": rounded(json.loads(json.dumps(page.to_json()))),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
