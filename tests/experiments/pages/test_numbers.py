import json

import pytest

from maniplvm.errors import UserError
from maniplvm.experiments.pages.numbers import (
    Quote,
    measured,
    read_numbers,
    refresh,
    refreshed,
    written_like,
)


def no_evidence(query):
    raise AssertionError(f"no query was expected, got {query}")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "results").mkdir()
    content = {"speed": [{"ratio": 12.345}], "share": 0.4175, "count": 12345}
    (tmp_path / "results" / "speed.json").write_text(json.dumps(content))
    (tmp_path / "docs" / "page.md").write_text("It is 9.9x\nfaster, in 40 % of\n9,999 cases.\n")
    (tmp_path / "docs" / "numbers.yaml").write_text(
        "docs/page.md:\n"
        "- text: is 9.9x faster\n"
        "  values:\n"
        "  - ['9.9', speed.json speed.0.ratio]\n"
        "- text: in 40 % of 9,999 cases\n"
        "  values:\n"
        "  - ['40', speed.json share %]\n"
        "  - ['9,999', speed.json count]\n"
    )
    return tmp_path


def test_refresh_writes_measured_values_into_page_and_list(root):
    assert refresh(root, no_evidence) == ["docs/page.md"]
    assert (
        root / "docs" / "page.md"
    ).read_text() == "It is 12.3x\nfaster, in 42 % of\n12,345 cases.\n"
    assert refresh(root, no_evidence) == []
    assert read_numbers(root)["docs/page.md"][1] == Quote(
        "in 42 % of 12,345 cases", (("42", "speed.json share %"), ("12,345", "speed.json count"))
    )


def test_a_quote_must_occur_in_its_page_exactly_once(root):
    quote = Quote("is 9.9x slower", (("9.9", "speed.json speed.0.ratio"),))
    with pytest.raises(UserError, match=r"0 times, not once: 'is 9\.9x slower'"):
        refreshed("docs/page.md", "It is 9.9x faster", [quote], lambda *_: "9.9")
    quote = Quote("9.9x", quote.values)
    with pytest.raises(UserError, match="2 times"):
        refreshed("docs/page.md", "9.9x and 9.9x", [quote], lambda *_: "9.9")


def test_a_number_must_occur_in_its_quote(root):
    quote = Quote("it is fast", (("9.9", "speed.json speed.0.ratio"),))
    with pytest.raises(UserError, match=r"does not have the number 9\.9"):
        refreshed("docs/page.md", "it is fast", [quote], lambda *_: "9.9")


def test_a_missing_file_or_key_is_named(root):
    with pytest.raises(UserError, match=r"gone\.json is missing"):
        measured(root, "gone.json a", "1", no_evidence)
    with pytest.raises(UserError, match=r"has no key speed\.3\.ratio"):
        measured(root, "speed.json speed.3.ratio", "1", no_evidence)


def test_sources_that_start_with_evidence_are_queries(root):
    assert measured(root, "evidence main a cost minutes", "8", lambda q: f"<{q}>") == (
        "<main a cost minutes>"
    )


@pytest.mark.parametrize(
    ("value", "shown", "written"),
    [
        (0.12345, "0.99", "0.12"),
        (0.12345, ".99", ".12"),
        (0.12345, "+.9", "+.1"),
        (-0.12345, "-.99", "-.12"),
        (12345.6, "1,000", "12,346"),
        (12345.6, "1000", "12346"),
        (4.0, "+3.0", "+4.0"),
    ],
)
def test_a_value_is_written_like_the_shown_number(value, shown, written):
    assert written_like(value, shown) == written
