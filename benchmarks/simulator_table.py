"""The shipped policy, a policy trained from rewards, and baselines on every test split of the simulator.

Evaluates what is not evaluated yet, execution in physics included, then puts all side by side as `maniplvm compare`
does. Interrupted, the same command continues.

Run: python benchmarks/simulator_table.py --out results/simulator_table.json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.evaluation import (
    BASELINES,
    ModelPredictor,
    Physics,
    Predictor,
    Selection,
    evaluate,
    read_evaluation,
    resolve_baseline,
)
from maniplvm.evaluation.predictors.baselines import PREFIX
from maniplvm.evaluation.tables import WRITERS, Comparing, Page, compare_runs
from maniplvm.experiments import EVALUATED, Folders, rounded
from maniplvm.experiments.pages.blocks import fill_block
from maniplvm.models import Decoding

ROOT = Path(__file__).resolve().parents[1]
DATA = "datasets/sim-small"
SOURCE = "results/simulator_table.json"
TOKENS = 80
IN_DOMAIN, OUT_OF_DOMAIN = ("id_test",), ("ood_tasks", "ood_robot")
BASE, TRAINED = "embedded", "embedded + GRPO"


def contestants(model: Path) -> dict[str, Predictor]:
    """Everything that is measured, by its name in the table."""
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
    """Evaluate everything that is not evaluated yet: folders by name."""
    selection = Selection(EVALUATED, limit=options.limit)
    folders: dict[str, Path] = {}
    for name, predictor in contestants(options.model).items():
        print(f"{name} ...", flush=True)
        folders[name] = options.work / name.replace(" + ", "-").lower()
        evaluate(
            predictor,
            DATA,
            folders[name],
            selection=selection,
            physics=Physics(options.workers, options.execute_splits) if options.execute else None,
        )
    return folders


def table_text(content: dict[str, Any], tables: int | None = None) -> str:
    """What pages show of a result: the first tables, each group of columns below the other."""
    page = Page.from_json(content["page"])
    page = replace(page, tables=page.tables[:tables]).stacked()
    return WRITERS["md"](page, False).rstrip("\n")


def main() -> None:
    """Evaluate, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    trained = Folders(Path("runs/quickstart")).model("grpo")
    parser.add_argument("--model", type=Path, default=trained, help="a policy trained by GRPO")
    parser.add_argument("--limit", type=int, help="samples of each split and task at most")
    parser.add_argument("--workers", type=int, default=2, help="processes that execute")
    parser.add_argument(
        "--execute-splits", nargs="+", help="where traces are followed in physics; all by default"
    )
    parser.add_argument("--no-execute", dest="execute", action="store_false")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench-simulator-table")
    parser.add_argument("--out", type=Path, default=ROOT / SOURCE)
    options = parser.parse_args()
    if not options.model.is_dir():
        parser.error(f"{options.model} is no model; run `make quickstart` first, or name --model")
    if options.execute_splits is not None:
        options.execute_splits = tuple(options.execute_splits)
    folders = measure(options)
    how = Comparing(
        names=list(folders),
        in_domain=IN_DOMAIN,
        out_of_domain=OUT_OF_DOMAIN,
        against=BASE,
        published=False,  # of photographs; beside a simulator's figures they would say nothing
    )
    page = compare_runs(list(folders.values()), how)
    content = {
        "command": "python " + " ".join(["benchmarks/simulator_table.py", *sys.argv[1:]]),
        "seed": how.seed,
        "versions": dict(read_evaluation(folders[BASE]).versions),
        "page": rounded(json.loads(json.dumps(page.to_json()))),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(f"written: {options.out}")
    if options.out.resolve() == ROOT / SOURCE:
        fill_block(ROOT / "docs" / "compare.md", SOURCE, table_text(content))


if __name__ == "__main__":
    main()
