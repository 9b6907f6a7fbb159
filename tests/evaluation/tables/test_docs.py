"""docs/compare.md names every option and column, and its table is the measured one."""

import inspect
import json
import re
from pathlib import Path

import pytest

from maniplvm.cli.compare import compare
from maniplvm.evaluation.tables import WRITERS
from maniplvm.evaluation.tables.columns import PAPER
from maniplvm.experiments import rounded
from maniplvm.experiments.pages.simulator_table import markdown

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
RESULT = ROOT / "results" / "simulator_table.json"
PLACE = re.compile(
    r"<!-- begin: results/simulator_table\.json -->\n(.*?)\n?<!-- end -->", re.DOTALL
)


@pytest.fixture
def script(benchmark):
    return benchmark("simulator_table")


def test_every_option_is_explained_and_every_explained_option_exists():
    options = {name.replace("_", "-") for name in inspect.signature(compare).parameters}
    options = (options - {"runs", "published"}) | {"no-published"}
    documented = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", PAGE))
    evaluate = {"data", "splits"}
    assert options <= documented
    assert documented - evaluate <= options


@pytest.mark.parametrize("column", PAPER, ids=lambda column: column.id)
def test_every_column_is_explained(column):
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert any(column.text in line.split("|")[1] for line in rows)


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_is_named(ending):
    assert ending in PAGE


@pytest.mark.parametrize(("name", "tables"), [("docs/compare.md", None), ("README.md", 1)])
def test_the_table_on_a_page_is_the_measured_one(name, tables):
    places = PLACE.findall((ROOT / name).read_text(encoding="utf-8"))
    if RESULT.exists():
        content = json.loads(RESULT.read_text(encoding="utf-8"))
        expected = markdown(content, tables)
        assert all(place == expected for place in places)
    else:
        assert not any(place.strip() for place in places), "figures that no result holds"


def test_the_page_has_a_place_for_the_table():
    assert len(PLACE.findall(PAGE)) == 1


def test_the_table_depends_only_on_the_result(made):
    from maniplvm.evaluation.tables import ComparisonOptions, compare_runs

    page = compare_runs([made.constant, made.random], ComparisonOptions(against="constant"))
    content = {"page": rounded(json.loads(json.dumps(page.to_json())))}
    both, first = markdown(content), markdown(content, 1)
    assert both.count("| --- |") == 4
    assert first.count("| --- |") == 2
    assert "| constant | **54.35** |" in first


def test_the_script_measures_every_baseline_the_base_and_the_trained_model(script):
    names = list(script.predictors(Path("model")))
    assert set(names) == {
        "constant",
        "constant-per-task",
        "nearest-instruction",
        "random",
        script.BASE,
        script.TRAINED,
    }
