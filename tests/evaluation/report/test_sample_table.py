"""The table of all samples is complete, safe to embed, bounded in size and searchable."""

import json
import shutil
import subprocess
import time
from html import unescape

import pytest

from maniplvm.evaluation.report import Sources, build_report
from maniplvm.evaluation.report.comparison import Comparison
from maniplvm.evaluation.report.folders import read_model_evaluation
from maniplvm.evaluation.report.sections.sample_table import (
    ROWS_PER_PAGE,
    embedded_json,
    sample_table,
)
from maniplvm.tasks import Task
from tests.cli.images import png
from tests.evaluation.report.conftest import HOSTILE
from tests.evaluation.report.folders import write_evaluation
from tests.evaluation.report.pages import Page
from tests.evaluation.scenery import SIZE, sample, stored

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
COMMENT = "<!--<script>"


def comparison(folders):
    return Comparison(
        read_model_evaluation(folders.before), read_model_evaluation(folders.after), {}
    )


def data_of(made):
    return json.loads(made.data)


def test_every_sample_is_in_the_data_with_both_answers(folders):
    made = sample_table(comparison(folders), {folders.samples[1].id: "card-7"})
    data = data_of(made)
    assert made.total == len(data["rows"]) == len(folders.samples)
    assert data["names"] == ["embedded (before)", "q (after)"]
    after = {record.id: record for record in comparison(folders).after.samples}
    for row in data["rows"]:
        record = after[row[0]]
        split, task, category, instruction = (data["strings"][place] for place in row[1:5])
        assert (split, task) == (record.split, record.task)
        assert (category, instruction) == (record.category, record.instruction)
        key = "iou" if record.task is Task.AFFORDANCE else "dfd_diagonal"
        assert data["strings"][row[10]] == record.status
        assert row[11] == pytest.approx(record.measures[key], abs=1e-4)
    assert [row[6] for row in data["rows"]].count("card-7") == 1


def test_without_scripts_the_page_has_the_first_rows_and_the_total(folders):
    html = build_report(Sources(folders.after, folders.data, before=folders.before))
    page = Page(html)
    shown = [a for a in page.named("b") if a.get("data-slot") == "score-0"]
    assert len(shown) == ROWS_PER_PAGE + 1  # and the template's
    assert f"The first {ROWS_PER_PAGE} of {len(folders.samples)} samples." in page.text
    panel = next(a for a in page.named("div") if a.get("id") == "search")
    assert "hidden" in panel  # the script shows it
    for heading in ("Changes", "Success over threshold", "Error analysis", "Model comparison"):
        assert heading in page.text


@pytest.mark.parametrize("text", [HOSTILE, COMMENT, "</SCRIPT >", "\u2028\u2029&lt;", "]]>"])
def test_no_string_can_close_the_element_and_json_restores_all(text):
    written = embedded_json({"words": [text], text: 1})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"words": [text], text: 1}


def test_a_missing_answer_of_one_model_is_empty(folders, tmp_path):
    before = read_model_evaluation(write_evaluation(tmp_path / "b", folders.samples[:3], 0.1))
    made = sample_table(Comparison(before, read_model_evaluation(folders.after), {}), {})
    assert [row[7:10] for row in data_of(made)["rows"]].count([-1, None, -1]) == len(
        folders.samples
    ) - 3
    assert [answer is None for answer in made.rows[5].answers] == [True, False]


def test_filters_have_the_values_that_occur(folders):
    filters = {
        name: dict(options) for name, _, options in sample_table(comparison(folders), {}).filters
    }
    assert list(filters["split"]) == ["", "adapt_test", "id_test"]
    assert list(filters["task"]) == ["", "affordance", "trajectory"]
    assert filters["status"]["ok"].startswith("a clear answer (")
    assert list(filters["order"]) == ["", "worst", "best", "gain", "loss"]
    alone = sample_table(Comparison(None, read_model_evaluation(folders.after), {}), {})
    assert [value for value, _ in alone.filters[-1][2]] == ["", "worst", "best"]


def rendered(page, find, tmp_path):
    """The page's elements after its script has searched."""
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"{path.as_uri()}#find={find}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_finds_the_hostile_sample_and_runs_none_of_its_scripts(folders, tmp_path):
    html = build_report(Sources(folders.after, folders.data, before=folders.before))
    found = rendered(html, "onerror%20alert(2)", tmp_path)
    status = found.partition('id="search-status-text">')[2].partition("<")[0]
    assert status == f"1 to 1 of 1 that match, of {len(folders.samples)} samples"
    page = Page(found)
    assert folders.hostile in page.text
    assert page.named("img") == []
    assert len(page.named("script")) == 2
    assert len(page.named("mark")) >= 2
    assert unescape("&lt;img src=x ") in page.text


def test_five_thousand_samples_make_a_page_of_bounded_size_in_bounded_time(tmp_path):
    image = png(*SIZE)
    samples = [
        sample(task, category, seed, view, image=image)
        for category in ("open", "close", "push", "pull", "turn")
        for seed in range(250)
        for view in range(2)
        for task in (Task.AFFORDANCE, Task.TRAJECTORY)
    ]
    assert len(samples) == 5000
    data = stored(tmp_path / "data", samples)
    before, after = (
        write_evaluation(tmp_path / name, samples, error, seed)
        for name, error, seed in (("before", 0.2, 1), ("after", 0.1, 2))
    )
    begun = time.process_time()
    html = build_report(Sources(after, data, before=before))
    assert time.process_time() - begun < 120  # takes about 6 s: only a change of order can fail
    assert len(html.encode()) < 4_000_000
    page = Page(html)
    assert len(page.named("article")) <= 96  # two tasks: 4 galleries of 9 cards and 2 of 6
    assert len([a for a in page.named("b") if "data-slot" in a]) < 100
    assert len(json.loads(page.scripts[0])["rows"]) == 5000
