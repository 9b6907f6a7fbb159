import json
from dataclasses import replace

import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation import Selection, evaluate, read_evaluation
from maniplvm.evaluation.records import read_samples
from maniplvm.evaluation.rescore import rescore
from maniplvm.evaluation.statistics.comparison import compare_samples
from maniplvm.evaluation.tables import ComparisonOptions, Page, compare_runs, group_splits
from maniplvm.evaluation.tables.published import PUBLISHED, Domain
from maniplvm.tasks import Task
from tests.evaluation.scenery import Counting, right, small_set, stored

PLAIN = ComparisonOptions(published=False)


def cells(table, name):
    row = next(row for row in table.rows if row.name == name)
    return {
        (heading.group, heading.band, heading.text): cell
        for heading, cell in zip(table.headings, row.cells, strict=True)
    }


ID, OOD = "in domain: id_test", "out of domain: ood_tasks"


@pytest.mark.parametrize("reading", ["strict", "published"])
def test_a_group_of_one_split_shows_the_figures_of_the_evaluation(made, reading):
    page = compare_runs([made.half], replace(PLAIN, reading=reading))
    own = read_evaluation(made.half).splits["id_test"]
    shown = cells(page.tables[0], "half")
    for key, task, measure, scale in (
        ((ID, "box", "IoU"), Task.AFFORDANCE, "iou", 100),
        ((ID, "box", "IoU > .5"), Task.AFFORDANCE, "success", 100),
        ((ID, "trace", "DFD"), Task.TRAJECTORY, "dfd_1000", 1),
        ((ID, "trace", "avg"), Task.TRAJECTORY, "avg_1000", 1),
        ((ID, "trace", "end < 20 px"), Task.TRAJECTORY, "success", 100),
    ):
        interval, cell = getattr(own[task], reading)[measure], shown[key]
        assert cell.value == pytest.approx(scale * interval.mean)
        assert (cell.low, cell.high) == pytest.approx((scale * interval.low, scale * interval.high))
        assert cell.count == interval.count
    assert shown[ID, "all", "parsed"].value == pytest.approx(50)
    assert shown[ID, "box", "IoU"].value == pytest.approx(50 if reading == "strict" else 100)


def test_the_mean_of_a_group_is_over_the_samples_of_its_splits(made):
    pooled = compare_runs([made.random], replace(PLAIN, out_of_domain=("id_test", "ood_tasks")))
    ious = [s.measures["iou"] for s in read_samples(made.random) if s.task is Task.AFFORDANCE]
    name = "out of domain: id_test, ood_tasks"
    shown = cells(pooled.tables[0], "random")[name, "box", "IoU"]
    assert shown.value == pytest.approx(100 * sum(ious) / len(ious))
    assert shown.count == len(ious) == 16


def test_the_best_of_each_column_is_marked_in_its_own_direction(made):
    table = compare_runs([made.constant, made.random, made.half], PLAIN).tables[0]
    for key in cells(table, "constant"):
        column = {name: cells(table, name)[key] for name in ("constant", "random", "half")}
        values = {name: round(cell.value, cell.decimals) for name, cell in column.items()}
        best = (min if key[2] in ("DFD", "HD", "RMSE", "avg") else max)(values.values())
        expected = {name for name, value in values.items() if value == best}
        marked = {name for name, cell in column.items() if cell.best}
        assert marked == (expected if len(set(values.values())) > 1 else set())
    assert cells(table, "constant")[ID, "trace", "DFD"].best


def test_equal_values_have_no_best(made):
    table = compare_runs([made.constant, made.random], PLAIN).tables[0]
    assert not any(cells(table, name)[ID, "all", "parsed"].best for name in ("constant", "random"))


def test_differences_are_those_of_the_comparison(made):
    how = replace(PLAIN, against="random")
    table = compare_runs([made.random, made.constant], how).tables[1]
    assert [row.name for row in table.rows] == ["constant"]
    known = compare_samples(read_samples(made.random), read_samples(made.constant))
    for text, task, metric, scale in (
        (("box", "IoU"), Task.AFFORDANCE, "iou", 100),
        (("trace", "DFD"), Task.TRAJECTORY, "dfd_1000", 1),
    ):
        expected = known["ood_tasks"][task][metric]
        cell = cells(table, "constant")[OOD, *text]
        assert cell.value == pytest.approx(scale * expected.difference.mean)
        assert cell.low == pytest.approx(scale * expected.difference.low)
        assert cell.clear is expected.is_clear
        assert cell.text.startswith("+" if expected.difference.mean > 0 else "-")


def test_a_matrix_is_antisymmetric_and_empty_on_its_diagonal(made):
    how = replace(PLAIN, matrix="avg_1000")
    table = compare_runs([made.constant, made.random, made.half], how).tables[1]
    names = ("constant", "random", "half")
    band = "trace: avg ↓"
    for one in names:
        assert cells(table, one)[ID, band, one].value is None
        for two in names:
            if one != two:
                forth, back = cells(table, one)[ID, band, two], cells(table, two)[ID, band, one]
                assert forth.value == pytest.approx(-back.value)
                assert forth.clear is back.clear


def test_executions_have_a_column_if_any_trace_was_executed(executed, made):
    page = compare_runs(executed, replace(PLAIN, against="failed"))
    shown = [cells(page.tables[0], name)[ID, "trace", "executed"] for name in ("failed", "solved")]
    assert [cell.value for cell in shown] == [0, 100]
    assert cells(page.tables[1], "solved")[ID, "trace", "executed"].value == 100
    without = compare_runs([made.constant], PLAIN).tables[0]
    assert "executed" not in [heading.text for heading in without.headings]


def test_published_figures_are_only_in_columns_of_their_domain_and_measure(made):
    table = compare_runs([made.constant]).tables[0]
    shown = cells(table, "VLA-R1-3B")
    assert (shown[ID, "box", "IoU"].text, shown[OOD, "box", "IoU"].text) == ("36.51", "33.96")
    assert shown[OOD, "trace", "avg"].text == "94"
    for text in (("box", "IoU > .5"), ("trace", "end < 20 px"), ("all", "parsed")):
        assert shown[ID, *text].value is None
    assert cells(table, "Qwen2.5-VL-3B")[OOD, "trace", "avg"].text == "-"
    references = [row for row in table.rows if row.is_reference]
    assert len(references) == len(PUBLISHED)
    assert not any(cell.best for row in references for cell in row.cells)
    notes = compare_runs([made.constant]).notes
    assert any("arXiv 2510.01623" in note and "ShareRobot" in note for note in notes)


@pytest.mark.parametrize(
    "how",
    [
        PLAIN,
        ComparisonOptions(in_domain=(), out_of_domain=()),
    ],
)
def test_published_figures_need_a_domain_and_can_be_turned_off(made, how):
    page = compare_runs([made.constant], how)
    assert not any(row.is_reference for row in page.tables[0].rows)
    assert not any("published figures" in note for note in page.notes)


def test_another_protocol_shows_its_own_measures_and_no_published_figures(made):
    folders = [
        next(iter(rescore(folder, ["sharerobot-bench"], data=made.data)))
        for folder in (made.constant, made.random)
    ]
    page = compare_runs(folders)
    assert page.title == "protocol sharerobot-bench, strict"
    texts = {heading.text: heading for heading in page.tables[0].headings}
    assert texts["rmse_unit (sides)"].lower_is_better
    assert not texts["iou"].lower_is_better
    assert [row.name for row in page.tables[0].rows] == ["constant", "random"]


def test_different_protocols_are_never_in_one_table(made):
    other = next(iter(rescore(made.random, ["sharerobot-bench"], data=made.data)))
    with pytest.raises(UserError, match="constant was measured by protocol maniplvm, random by sh"):
        compare_runs([made.constant, other])


def test_other_targets_and_other_samples_are_refused(made, tmp_path):
    still = stored(tmp_path / "still", small_set(("id_test", "ood_tasks")))
    evaluate(Counting(), still, tmp_path / "still-run")
    with pytest.raises(UserError, match="has another target in still-run than in constant"):
        compare_runs([made.constant, tmp_path / "still-run"])
    new = stored(tmp_path / "new", small_set(("other",)))
    evaluate(Counting(), new, tmp_path / "new-run")
    with pytest.raises(UserError, match="have no sample in common"):
        compare_runs([made.constant, tmp_path / "new-run"])


def test_different_samples_give_a_warning_and_common_samples_can_be_compared(made, tmp_path):
    evaluate(
        Counting(right), made.data, tmp_path / "few", selection=Selection(("id_test",), limit=4)
    )
    runs = [made.constant, tmp_path / "few"]
    warned = compare_runs(runs, PLAIN)
    assert "the runs have different samples: constant 32, few 8; 8 are common" in warned.warnings[0]
    shared = compare_runs(runs, replace(PLAIN, common=True))
    assert shared.warnings == ()
    assert {heading.group for heading in shared.tables[0].headings} == {ID}
    assert cells(shared.tables[0], "constant")[ID, "box", "IoU"].count == 4


def test_different_data_instructions_and_temperatures_give_warnings(made, tmp_path):
    again = stored(tmp_path / "again", list(_moved_set()))
    warm = Counting(right, settings={"temperature": 1.0})
    evaluate(warm, again, tmp_path / "warm", selection=Selection(("id_test", "ood_tasks")))
    evaluate(
        Counting(right),
        made.data,
        tmp_path / "wrong",
        selection=Selection(("id_test", "ood_tasks")),
        wrong_instruction=0,
    )
    warnings = compare_runs([made.half, tmp_path / "warm", tmp_path / "wrong"], PLAIN).warnings
    text = " / ".join(warnings)
    for part in (
        "different data: half small",
        "different wrong instructions: half none, warm none, wrong 0",
        "different temperature: half 0, warm 1.0, wrong 0",
    ):
        assert part in text


def _moved_set():
    from tests.evaluation.tables.conftest import moved

    yield from (moved(each) for each in small_set(("id_test", "ood_tasks")))


def test_different_executed_traces_give_a_warning(executed):
    solved = executed[1] / "samples.jsonl"
    lines = [json.loads(line) for line in solved.read_text().splitlines()]
    for line in lines:
        if line["split"] == "ood_tasks":
            line["execution"] = None
    solved.write_text("".join(json.dumps(line) + "\n" for line in lines))
    warnings = compare_runs(executed, PLAIN).warnings
    assert warnings == ("different traces were executed: failed 16, solved 8",)


def test_domains_come_from_the_simulators_names_or_from_the_user():
    known = group_splits(["id_test", "ood_robot", "adapt_test", "train"])
    assert [(group.domain, group.splits) for group in known] == [
        (Domain.IN, ("id_test",)),
        (Domain.OUT, ("ood_robot", "adapt_test")),
        (None, ("train",)),
    ]
    groups = group_splits(["test", "umd", "id_test"], in_domain=("test",))
    assert [group.name for group in groups] == ["in domain: test", "umd", "id_test"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            ComparisonOptions(in_domain=("kitchen",)),
            "no run has a split 'kitchen'; choose from id_test",
        ),
        (ComparisonOptions(in_domain=("id_test",), out_of_domain=("id_test",)), "is given twice"),
        (ComparisonOptions(splits=("train",)), "no run has a split 'train'; choose from id_test"),
        (
            ComparisonOptions(reading="kind"),
            "unknown reading 'kind'; choose from strict, published",
        ),
        (ComparisonOptions(names=("a",)), "1 names for 2 runs"),
        (ComparisonOptions(names=("a", "a")), "two runs are called 'a'"),
        (
            ComparisonOptions(against="best"),
            "no run is called 'best'; choose from constant, random",
        ),
        (
            ComparisonOptions(matrix="success"),
            "'success' matches several columns; choose from affordance.iou",
        ),
        (ComparisonOptions(matrix="beauty"), "'beauty' matches no column"),
    ],
)
def test_an_unknown_name_gives_one_clear_line(made, how, message):
    with pytest.raises(UserError, match=message):
        compare_runs([made.constant, made.random], how)


def test_run_names_are_the_shortest_distinct_ends_of_their_folders(made, tmp_path):
    import shutil

    for name in ("one", "two"):
        shutil.copytree(made.constant, tmp_path / name / "after")
    page = compare_runs([tmp_path / "one" / "after", tmp_path / "two" / "after"], PLAIN)
    assert [row.name for row in page.tables[0].rows] == ["one/after", "two/after"]
    with pytest.raises(UserError, match="a run is given twice"):
        compare_runs([made.constant, made.constant])


def test_a_page_is_equal_after_a_json_round_trip(made):
    page = compare_runs([made.constant, made.random], ComparisonOptions(against="random"))
    assert Page.from_json(json.loads(json.dumps(page.to_json()))) == page
    with pytest.raises(ValueError, match=r"expected 'maniplvm\.tables/1'"):
        Page.from_json({"format": "other"})
