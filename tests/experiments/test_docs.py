"""The tables of the quickstart stand in README and docs as they were measured."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "results" / "quickstart.json"


@pytest.fixture
def page(benchmark):
    return benchmark("quickstart_page")


@pytest.mark.parametrize(("name", "splits"), [("README.md", 2), ("docs/quickstart.md", 5)])
def test_the_table_is_the_measured_one(page, name, splits):
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    shown = ["adapt_test", "id_test"] if splits == 2 else list(page.SPLITS)
    table = "\n".join(page.rows(result, shown))
    assert table in (ROOT / name).read_text(encoding="utf-8")


def test_three_seeds_were_measured_and_one_control_at_least():
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert result["grpo_seeds"] == len(result["seed"]) >= 3
    assert result["sft_seeds"] >= 1
    for seed in result["seeds"]:
        assert seed["grpo"]["adapt_test"]["iou"]["difference"]["low"] > 0
