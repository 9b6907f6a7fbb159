"""Every number of docs/evidence.md comes from results/evidence/."""

import json
import re
from pathlib import Path

import pytest

from maniplvm.experiments.pages import evidence
from maniplvm.experiments.pages.evidence_values import read_tiers
from maniplvm.experiments.pages.numbers import read_numbers

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "evidence.md"
RESULTS = sorted((ROOT / "results" / "evidence").glob("*.json"))
DESIGN = {"0.75", "95 %", "100 %", "50 %", "25 %", "33 %", "20 %"}
"""Numbers that describe the design, not a result."""


def test_tables_are_the_measured_ones():
    text, found = PAGE.read_text(encoding="utf-8"), read_tiers(ROOT / "results" / "evidence")
    places = evidence.TABLE.findall(text)
    assert places
    for source, tier, section in places:
        table = "\n".join(evidence.SECTIONS[section](found[tier]))
        assert f"<!-- begin: {source} -->\n{table}\n<!-- end -->" in text


def without_listed_numbers(text):
    spans = []
    for quote in read_numbers(ROOT)["docs/evidence.md"]:
        (found,) = quote.pattern().finditer(text)
        place = found.start()
        for shown, _ in quote.values:
            place = text.index(shown, place)
            spans.append((place, place + len(shown)))
            place += len(shown)
    for start, end in sorted(set(spans), reverse=True):
        text = text[:start] + text[end:]
    return text


def test_every_number_in_the_text_has_a_source():
    text = without_listed_numbers(PAGE.read_text(encoding="utf-8"))
    text = re.sub(r"<!-- begin:.*?<!-- end -->", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    text = re.sub(r"arXiv:? ?[\d.]+", "", text)
    figures = re.findall(r"[-+]?\d+(?:\.\d+)?(?: %| points| minutes)|[-+]?\d*\.\d+", text)
    assert [each for each in figures if each not in DESIGN] == []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_name_their_command(path):
    tier = json.loads(path.read_text(encoding="utf-8"))
    assert tier["command"].startswith("maniplvm experiment recipes/experiments/evidence.yaml")
    assert tier["versions"]["torch"].startswith("2.13.0")
    for arm in tier["arms"].values():
        trained = arm["method"] is not None
        assert len(arm.get("commands", [])) == (len(arm["seeds"]) if trained else 0)
        assert all(
            f"seed={s}" in c for s, c in zip(arm["seeds"], arm.get("commands", []), strict=False)
        )
