"""README and docs tell the truth: examples run, links lead somewhere, figures come from results/."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from maniplvm.experiments.pages.evidence import evidence_value
from maniplvm.experiments.pages.evidence_values import read_tiers
from maniplvm.experiments.pages.numbers import measured, read_numbers, refreshed
from maniplvm.geometry import FRAMES
from maniplvm.rewards import PRESETS
from maniplvm.rewards.presets import TERMS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PAGES += sorted((ROOT / "datasets").rglob("*.md")) + sorted((ROOT / "src").rglob("*.md"))
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MARK = re.compile(r"<!--=|<!-- \S+\.json \S")


def page_id(page):
    return str(page.relative_to(ROOT))


def test_the_example_in_the_readme_prints_what_the_readme_says():
    code, expected = EXAMPLE.search((ROOT / "README.md").read_text(encoding="utf-8")).groups()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == expected
    assert len([line for line in code.splitlines() if line.strip()]) < 20


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), f"{page_id(page)} links to {link}"


def test_every_number_listed_in_numbers_yaml_is_the_measured_one():
    tiers = read_tiers(ROOT / "results" / "evidence")

    def value(source, shown):
        return measured(ROOT, source, shown, lambda question: evidence_value(tiers, question))

    listed = read_numbers(ROOT)
    assert sum(len(quotes) for quotes in listed.values()) > 50
    for page, quotes in listed.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        assert refreshed(page, text, quotes, value) == (text, quotes)


CODE_AND_TABLES = re.compile(r"```.*?```|<!-- begin.*?<!-- end -->|^---$.*?^---$", re.S | re.M)
TABLE_OR_HEADING = re.compile(r"^(\||#|!\[|    ).*$", re.M)
PARAGRAPH = re.compile(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", re.M)
SENTENCE = re.compile(r"(?<=[.!?:])[*_)]*\s+(?=[A-Z`*\[(\d])")


def long_sentences(text, limit=30):
    """Sentences of the running text with more words than the limit."""
    prose = TABLE_OR_HEADING.sub("\n", CODE_AND_TABLES.sub("\n\n", text))
    sentences = [
        s for part in PARAGRAPH.split(prose) for s in SENTENCE.split(" ".join(part.split()))
    ]
    return [sentence for sentence in sentences if len(sentence.split()) > limit]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_sentence_has_more_than_30_words(page):
    assert long_sentences(page.read_text(encoding="utf-8")) == []


def test_a_long_sentence_is_found_and_tables_are_not_sentences():
    long = " ".join(["word"] * 31) + "."
    assert long_sentences(f"Short.\n\n- {long}\n- Short.") == [long]
    assert long_sentences(f"| {long} |\n\n```\n{long}\n```\n\n{' '.join(['word'] * 30)}.") == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_holds_sources_inside_its_sentences(page):
    assert MARK.findall(page.read_text(encoding="utf-8")) == []


def test_every_result_says_how_it_was_made():
    for path in (ROOT / "results").rglob("*.json"):
        report = json.loads(path.read_text(encoding="utf-8"))
        assert report.get("command"), f"{path.name} has no command"
        assert "versions" in report, f"{path.name} has no versions"
        assert "seed" in report, f"{path.name} has no seed"


def test_every_frame_term_and_preset_is_explained():
    frames = (ROOT / "docs" / "frames.md").read_text(encoding="utf-8")
    rewards = (ROOT / "docs" / "rewards.md").read_text(encoding="utf-8")
    assert [name for name in FRAMES if f"`{name}`" not in frames] == []
    names = [*PRESETS, *(name for terms in TERMS.values() for name in terms)]
    assert [name for name in names if f"`{name}`" not in rewards] == []


def test_the_frame_example_gives_what_its_comments_say():
    frame = FRAMES["qwen2_5_vl"].bind((640, 480))
    assert frame.view.seen == (644, 476)
    assert frame.encode([[320.0, 240.0]]).tolist() == [[322, 238]]
    assert frame.decode([[322, 238]]).tolist() == [[320, 240]]
