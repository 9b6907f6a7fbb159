"""Every number of docs/evidence.md is a measured one: read from results/evidence/, or it is refused."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evidence.md"
RESULTS = sorted((ROOT / "results" / "evidence").glob("*.json"))
DESIGN = {"95 %", "100 %", "50 %", "25 %", "33 %", "20 %"}
"""Percentages that say how something was done, not what came out."""


@pytest.fixture
def page(benchmark):
    return benchmark("evidence_page")


@pytest.fixture
def values(benchmark):
    return benchmark("evidence_values")


def test_numbers_in_the_text_are_the_measured_ones(page, values):
    text = PAGE.read_text(encoding="utf-8")
    assert page.NUMBER.search(text)
    assert page.filled(text, values.tiers()) == text


def test_no_line_starts_with_a_mark():
    """Markdown takes such a line for a block of HTML, and cuts the paragraph there."""
    assert re.findall(r"(?m)^\s*(?:- )?<!--=.*", PAGE.read_text(encoding="utf-8")) == []


def test_tables_are_the_measured_ones(page, values):
    text, found = PAGE.read_text(encoding="utf-8"), values.tiers()
    places = page.TABLE.findall(text)
    assert places
    for source, tier, section in places:
        table = "\n".join(page.SECTIONS[section](found[tier]))
        assert f"<!-- begin: {source} -->\n{table}\n<!-- end -->" in text


def test_no_figure_in_the_text_comes_from_elsewhere(page):
    text = re.sub(
        r"<!-- begin:.*?<!-- end -->", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", page.NUMBER.sub("", text), flags=re.DOTALL)
    text = re.sub(r"arXiv [\d.]+", "", text)
    figures = re.findall(r"[-+]?\d+(?:\.\d+)?(?: %| points| minutes)|[-+]?\d*\.\d+", text)
    assert [each for each in figures if each not in DESIGN] == []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_say_how_they_were_made(path):
    tier = json.loads(path.read_text(encoding="utf-8"))
    assert tier["command"].startswith("maniplvm experiment recipes/experiments/evidence.yaml")
    assert tier["versions"]["torch"].startswith("2.13.0")
    for arm in tier["arms"].values():
        trained = arm["method"] is not None
        assert len(arm.get("commands", [])) == (len(arm["seeds"]) if trained else 0)
        assert all(
            f"seed={s}" in c for s, c in zip(arm["seeds"], arm.get("commands", []), strict=False)
        )
