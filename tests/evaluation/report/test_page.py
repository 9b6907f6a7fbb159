"""The whole page is complete, self-contained, and safe for any text of a model."""

import base64
import hashlib
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import report as templates
from maniplvm.evaluation.report import Sources, build_report
from tests.evaluation.report.conftest import HOSTILE
from tests.evaluation.report.folders import write_evaluation, write_run
from tests.evaluation.report.pages import Page

ADDRESS = re.compile(r"url\(|@import|https?:|//[a-z]", re.IGNORECASE)


def all_of(folders):
    return Sources(
        after=folders.after,
        data=folders.data,
        before=folders.before,
        controls=[folders.control],
        sampled_before=folders.sampled_before,
        sampled_after=folders.sampled_after,
        runs=[folders.run],
    )


@pytest.fixture(scope="module")
def html(folders):
    return build_report(all_of(folders), command=["maniplvm", "report", "--out", "a b.html"])


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def user_error(sources):
    with pytest.raises(UserError) as caught:
        build_report(sources)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_element_is_closed_and_every_id_is_unique(page):
    assert page.faults == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_reference_has_a_target_in_the_page(page):
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag in ("a", "use", "label"):
        for attributes in page.named(tag):
            target = attributes.get("for") or attributes["href"].removeprefix("#")
            assert target in ids, f"<{tag}> leads to {target}"


def test_the_page_loads_nothing_from_the_network(html, page):
    loaded = [a["href"] for tag in ("image", "link") for a in page.named(tag)]
    assert len(loaded) > 10
    assert all(address.startswith("data:") for address in loaded)
    assert not [attributes for _, attributes in page.elements if "src" in attributes]
    assert not ADDRESS.search(re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", html))
    policy = next(a["content"] for a in page.named("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert len(html.encode()) < 4_000_000


def check_scripts(page):
    """Two scripts: the data, which does not run, and the code that the page's policy names."""
    assert page.named("script") == [{"type": "application/json", "id": "samples-data"}, {}]
    data, code = page.scripts
    assert code == (Path(templates.__file__).parent / "templates" / "search.js").read_text()
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = next(a["content"] for a in page.named("meta") if "http-equiv" in a)
    assert f"script-src 'sha256-{digest}';" in policy
    assert not set("<>&") & set(data)
    return json.loads(data)


def test_no_text_of_a_model_becomes_markup(page):
    assert check_scripts(page)
    assert page.named("img") == []
    assert not [a for _, a in page.elements if any(key.startswith("on") for key in a)]
    assert '</pre></script><img src=x onerror="alert(1)">' in page.text
    assert "{{ 7 * 7 }}␀�" in page.text
    assert "\u202e" not in page.text


def test_hostile_names_are_escaped(folders, tmp_path):
    evil = [
        replace(sample, instruction=HOSTILE, category=HOSTILE) for sample in folders.samples[:8]
    ]
    after = write_evaluation(tmp_path / "after", evil, 0.1, model=HOSTILE)
    run = write_run(tmp_path / "run", name="r")
    facts = json.loads((run / "run.json").read_text())
    facts |= {"name": HOSTILE, "command": [HOSTILE], "warnings": [HOSTILE]}
    facts |= {"versions": {HOSTILE: HOSTILE}, "method": HOSTILE}
    (run / "run.json").write_text(json.dumps(facts))
    (run / "recipe.yaml").write_text(HOSTILE)
    (run / "log.jsonl").write_text(json.dumps({"step": 1, HOSTILE: 1.0, f"reward/{HOSTILE}": 2}))
    page = Page(build_report(Sources(after, folders.data, runs=[run])))
    assert (page.faults, page.open) == ([], [])
    assert HOSTILE.replace("\x00", "␀").replace("\u202e", "�") in check_scripts(page)["strings"]
    assert page.named("img") == []
    assert not [a for _, a in page.elements if any(key.startswith("on") for key in a)]


def test_a_lone_surrogate_is_replaced(folders, tmp_path):
    after = write_evaluation(tmp_path / "after", folders.samples[:4], 0.1)
    lines = [json.loads(line) for line in (after / "samples.jsonl").read_text().splitlines()]
    lines[0]["text"] = "cut \ud83d off"
    (after / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "cut \ufffd off" in Page(build_report(Sources(after, folders.data))).text


def test_an_answer_outside_of_the_image_is_reported(folders, tmp_path):
    sample = folders.samples[0]
    texts = {sample.id: "<think>left</think><answer>[-60, -50, -20, -10]</answer>"}
    after = write_evaluation(tmp_path / "after", [sample], 0.0, texts=texts)
    assert "outside of the image" in Page(build_report(Sources(after, folders.data))).text


def test_the_page_has_all_sections_and_facts(page):
    for text in (
        "Boxes, traces and task success got better on adapt_test, but worse:",
        "95 % interval",
        "control: sft",
        "after minus sft",
        "Sampled answers",
        "reward/trajectory/dfd",
        "Random",
        "Model comparison",
        "q (after) is better",
        "Success over threshold",
        "area 0.",
        "Error analysis",
        "By position in the image",
        "Length of the reasoning",
        "All samples",
        "Completion",
        "an answer without coordinates",
        "the end effector never touched the part",
        "rewards: {preset: dense}",
        "transformers 5.23.0",
        "maniplvm train grpo recipes/quickstart.yaml",
        "maniplvm report --out 'a b.html'",
        "groups without signal rose above 30 % at step 150",
    ):
        assert text in page.text, text


def test_every_image_and_chart_has_a_title_for_screen_readers(page):
    images = [a for a in page.named("svg") if a.get("role") == "img"]
    assert len(images) > 50
    assert page.elements.count(("title", {})) == len(images) + 1


def test_the_same_folders_give_an_equal_page(folders, html):
    again = build_report(all_of(folders), command=["maniplvm", "report", "--out", "a b.html"])
    assert again == html


def test_a_page_of_one_evaluation_is_complete(folders):
    page = Page(build_report(Sources(folders.after, folders.data)))
    assert "q on adapt_test: box overlap (IoU)" in page.text
    assert (page.faults, page.open) == ([], [])
    for text in ("before training", "Learning curves", "Model comparison", "better by", "minus"):
        assert text not in page.text, text


def test_controls_without_before_are_compared(folders):
    sources = Sources(folders.after, folders.data, controls=[folders.control])
    assert "Compared with the controls" in Page(build_report(sources)).text


def test_a_run_without_log_has_no_curves(folders, tmp_path):
    run = write_run(tmp_path / "run", finished=False)
    (run / "log.jsonl").unlink()
    text = Page(build_report(Sources(folders.after, folders.data, runs=[run]))).text
    assert "no, the metrics are preliminary" in text
    assert "Learning curves" not in text


def test_samples_of_only_one_evaluation_are_reported(folders, tmp_path):
    before = write_evaluation(tmp_path / "before", folders.samples[:20], 0.2)
    text = Page(build_report(Sources(folders.after, folders.data, before=before))).text
    assert "use the 20 common samples of 80" in text


def test_a_missing_folder_is_one_clear_line(folders, tmp_path):
    gone = tmp_path / "gone"
    assert "gone: no such folder" in user_error(Sources(gone, folders.data))
    assert "evaluation.json: cannot be read" in user_error(Sources(tmp_path, folders.data))
    assert "has no run.json" in user_error(replace(all_of(folders), runs=[tmp_path]))
    assert "gone" in user_error(Sources(folders.after, gone))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("evaluation.json", '{"format": "maniplvm.evaluation/9"}', "maniplvm.evaluation/9"),
        ("evaluation.json", "nope", "not an evaluation"),
        ("samples.jsonl", '{"id": 1}\n', "line 1: not a scored sample"),
        ("samples.jsonl", "", "has 0 of 80 samples; run the command"),
    ],
)
def test_another_format_of_an_evaluation_is_one_clear_line(
    folders, tmp_path, name, content, message
):
    broken = shutil.copytree(folders.after, tmp_path / "broken")
    (broken / name).write_text(content)
    assert message in user_error(Sources(broken, folders.data))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", '{"format": "maniplvm.run/9"}', "'maniplvm.run/9', not 'maniplvm.run/1'"),
        ("run.json", "[", "not JSON"),
        ("log.jsonl", '{"step": 1}\nnope\n', "line 2: not JSON"),
        ("log.jsonl", "[1]\n", "line 1: expected an object"),
        ("log.jsonl", '{"loss": 1}\n', "line 1: has no step"),
    ],
)
def test_another_format_of_a_run_is_one_clear_line(folders, tmp_path, name, content, message):
    broken = shutil.copytree(folders.run, tmp_path / "broken")
    (broken / name).write_text(content)
    assert message in user_error(replace(all_of(folders), runs=[broken]))


def test_evaluations_of_different_data_are_one_clear_line(folders, tmp_path):
    renamed = [replace(sample, id=f"x/{sample.id}") for sample in folders.samples[:4]]
    other = write_evaluation(tmp_path / "other", renamed, 0.1)
    sources = all_of(folders)
    assert "no sample in common" in user_error(replace(sources, before=other))
    swapped = [replace(folders.samples[0], target=folders.samples[2].target)]
    assert swapped[0].target != folders.samples[0].target
    moved = write_evaluation(tmp_path / "moved", swapped, 0.1)
    assert "has another target" in user_error(replace(sources, controls=[moved]))
    assert "give the evaluated dataset" in user_error(Sources(moved, folders.data))


def test_evaluations_of_different_protocols_are_one_clear_line(folders, tmp_path):
    other = shutil.copytree(folders.before, tmp_path / "other")
    facts = json.loads((other / "evaluation.json").read_text())
    (other / "evaluation.json").write_text(json.dumps(facts | {"preset": "dense"}))
    message = user_error(replace(all_of(folders), before=other))
    assert "preset dense and paper" in message


def test_sampled_before_alone_is_one_clear_line(folders):
    message = user_error(replace(all_of(folders), sampled_after=None))
    assert "--sampled-before also needs --sampled-after" in message


def test_a_missing_template_engine_is_one_clear_line(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert 'pip install "maniplvm[report]"' in user_error(all_of(folders))
