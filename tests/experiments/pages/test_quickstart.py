"""The quickstart's tables in README and docs are the measured ones."""

import json
from pathlib import Path

from maniplvm.experiments.pages import quickstart

ROOT = Path(__file__).parents[3]
RESULT = ROOT / "results" / "quickstart.json"


def test_the_tables_are_the_measured_ones():
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    long = "\n".join(quickstart.rows(result, list(quickstart.SPLITS)))
    assert long in (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    short = "\n".join(quickstart.readme_rows(result))
    assert short in (ROOT / "README.md").read_text(encoding="utf-8")


def test_results_have_three_seeds_and_at_least_one_control():
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert result["grpo_seeds"] == len(result["seed"]) >= 3
    assert result["sft_seeds"] >= 1
    for seed in result["seeds"]:
        assert seed["grpo"]["adapt_test"]["iou"]["difference"]["low"] > 0
