"""Success curves, error maps and bins, compared with values computed by hand."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from maniplvm.evaluation.report.charts.bins import (
    BinnedVariable,
    bin_chart,
    bin_edges,
    bin_indices,
    success_by_bin,
)
from maniplvm.evaluation.report.charts.error_maps import (
    COLOUR_SCALES,
    COLUMNS,
    MIN_COUNT,
    ROWS,
    bin_means,
    cell_indices,
    error_map,
)
from maniplvm.evaluation.report.charts.thresholds import (
    THRESHOLDS,
    sample_areas,
    success_curve,
    threshold_chart,
)
from maniplvm.evaluation.report.comparison import Comparison
from maniplvm.evaluation.report.folders import read_model_evaluation
from maniplvm.evaluation.report.sample_metrics import SampleMetrics, compute_sample_metrics
from maniplvm.evaluation.report.sections.error_analysis import ALL, analyze_errors
from maniplvm.tasks import BoxTarget, Task, TraceTarget
from tests.evaluation.report.folders import REFUSAL, write_evaluation
from tests.evaluation.scenery import answer_text, sample

BOXES, TRACES = THRESHOLDS[Task.AFFORDANCE], THRESHOLDS[Task.TRAJECTORY]


def evaluations(count=10, **changes):
    """Metrics of equal, correct answers with central targets, with some arrays changed."""
    plain = SampleMetrics(
        splits=("id_test",) * count,
        scenes=tuple(f"scene {index}" for index in range(count)),
        threshold_values=np.ones(count),
        score=np.ones(count),
        success=np.ones(count, dtype=bool),
        centre=np.full((count, 2), 0.5),
        size=np.full(count, 0.1),
        reasoning_length=np.full(count, 20.0),
        aspect_ratio=0.75,
    )
    return replace(plain, **changes)


def parse_svg(chart):
    return ElementTree.fromstring(str(chart))  # noqa: S314 - our own drawing


def of_class(element, name):
    return [each for each in element.iter() if name in (each.get("class") or "").split()]


def test_a_curve_of_overlaps_has_the_values_computed_by_hand():
    threshold_values = np.array([0.0, 0.1, 0.35, 0.5, 0.95])
    shares = success_curve(threshold_values, BOXES)
    assert shares.tolist() == [3 / 5, 3 / 5, 3 / 5, 2 / 5, 1 / 5, 1 / 5, 1 / 5, 1 / 5, 1 / 5]
    by_hand = (0.6 / 2 + 0.6 + 0.6 + 0.4 + 0.2 + 0.2 + 0.2 + 0.2 + 0.2 / 2) / 8
    assert sample_areas(threshold_values, BOXES).mean() == pytest.approx(by_hand)
    assert sample_areas(threshold_values, BOXES)[[0, -1]].tolist() == pytest.approx([0, 1])


def test_a_curve_of_distances_has_the_values_computed_by_hand():
    threshold_values = np.array([0.0, 0.005, 0.055, 0.195, 0.3, np.inf])
    shares = success_curve(threshold_values, TRACES)
    assert shares[[0, 1, 5, 6, 19, 20]].tolist() == [0, 2 / 6, 2 / 6, 3 / 6, 3 / 6, 4 / 6]
    areas = sample_areas(threshold_values, TRACES)
    assert areas.tolist() == pytest.approx([0.975, 0.975, 0.725, 0.025, 0, 0])
    heights = (shares[1:] + shares[:-1]) / 2
    assert areas.mean() == pytest.approx(heights.mean())


def test_a_threshold_chart_has_a_line_and_an_area_for_each_evaluation():
    good = evaluations(threshold_values=np.full(10, 0.95))
    bad = evaluations(threshold_values=np.full(10, 0.05))
    series = [("before", "before: a", bad), ("after", "after: b", good)]
    made = threshold_chart("id_test", Task.AFFORDANCE, series, "id_test")
    lines = {line.get("class"): line for line in of_class(parse_svg(made.chart), "line")}
    assert set(lines) == {"line before", "line after"}
    heights = [
        {float(each.split(",")[1]) for each in lines[name].get("points").split()}
        for name in ("line before", "line after")
    ]
    assert [len(each) for each in heights] == [1, 1]
    assert min(heights[0]) > max(heights[1])  # y runs down
    assert [area.text for area in made.areas] == [
        "0.000 (0.000 to 0.000)",
        "1.000 (1.000 to 1.000)",
    ]
    assert threshold_chart("other", Task.AFFORDANCE, series, "other") is None


def test_metrics_of_boxes_have_the_values_computed_by_hand(tmp_path):
    box = sample(Task.AFFORDANCE, target=BoxTarget([0, 0, 32, 24]))
    refused = sample(Task.AFFORDANCE, seed=1, target=BoxTarget([32, 24, 64, 48]))
    texts = {box.id: answer_text([0, 0, 16, 24], "a left part"), refused.id: REFUSAL}
    found = compute_sample_metrics(
        read_model_evaluation(write_evaluation(tmp_path / "e", [box, refused], 0.0, texts=texts)),
        Task.AFFORDANCE,
    )
    assert found.score.tolist() == found.threshold_values.tolist() == [0.5, 0]
    assert found.success.tolist() == [False, False]
    assert found.centre.tolist() == [[0.25, 0.25], [0.75, 0.75]]
    assert found.size.tolist() == [0.25, 0.25]
    assert found.reasoning_length.tolist() == [len("a left part"), 0]
    assert found.aspect_ratio == 0.75


def test_metrics_of_traces_are_relative_to_the_diagonal(tmp_path):
    trace = sample(Task.TRAJECTORY, target=TraceTarget([(0, 0), (32, 24)]))
    refused = sample(Task.TRAJECTORY, seed=1)
    texts = {trace.id: answer_text([[0, 0], [16, 12], [32, 40]]), refused.id: REFUSAL}
    found = compute_sample_metrics(
        read_model_evaluation(write_evaluation(tmp_path / "e", [trace, refused], 0.0, texts=texts)),
        Task.TRAJECTORY,
    )
    assert found.threshold_values.tolist() == [pytest.approx(16 / 80), np.inf]
    assert found.score.tolist() == [pytest.approx(20 / 80), 1]  # its middle is 20 px from both ends
    assert found.success.tolist() == [True, False]
    assert found.size[0] == pytest.approx(40 / 80)
    assert compute_sample_metrics(read_model_evaluation(tmp_path / "e"), Task.AFFORDANCE) is None


def test_positions_map_to_cells_and_edges_are_inside():
    places = np.array([[0, 0], [1, 1], [1 / COLUMNS, 1 / ROWS], [0.999, 0.5], [-0.1, 1.2]])
    assert cell_indices(places).tolist() == [
        [0, 0],
        [COLUMNS - 1, ROWS - 1],
        [1, 1],
        [COLUMNS - 1, ROWS // 2],
        [0, ROWS - 1],
    ]


def test_a_map_has_counts_and_means():
    centre = np.array([[0.01, 0.01], [0.02, 0.02], [0.99, 0.01], [0.99, 0.99]])
    counts, means = bin_means(centre, np.array([0.2, 0.4, 1.0, 0.7]))
    assert counts.sum() == 4
    assert (counts[0, 0], counts[0, -1], counts[-1, -1]) == (2, 1, 1)
    assert means[0, 0] == pytest.approx(0.3)
    assert (means[0, -1], means[-1, -1]) == (1.0, 0.7)
    assert np.isnan(means[-1, 0])


def test_strong_colours_are_bad_and_cells_with_few_targets_have_no_colour():
    centre = np.array([[0.01, 0.01]] * MIN_COUNT + [[0.99, 0.99]] * MIN_COUNT + [[0.01, 0.99]])
    score = np.array([0.1] * MIN_COUNT + [0.9] * MIN_COUNT + [0.0])
    made = error_map(
        "a", Task.AFFORDANCE, evaluations(len(score), centre=centre, score=score), None
    )
    cells = [each.get("class") for each in of_class(parse_svg(made.chart), "cell")]
    assert len(cells) == COLUMNS * ROWS
    assert (cells[0], cells[-1]) == ("cell h5", "cell h1")
    assert cells[(ROWS - 1) * COLUMNS] == "cell h0"
    texts = [each.text for each in parse_svg(made.chart).iter() if each.text]
    assert {"0.10", "0.90", f"n {MIN_COUNT}", "n 1", "% of width", "% of height"} <= set(texts)
    assert "worst in column 1 of 6, row 1 of 5: 0.10" in texts[0]


@pytest.mark.parametrize(
    ("task", "score", "level"),
    [
        (Task.AFFORDANCE, 0.8, 1),
        (Task.AFFORDANCE, 0.79, 2),
        (Task.AFFORDANCE, 0.0, 5),
        (Task.TRAJECTORY, 0.05, 1),
        (Task.TRAJECTORY, 0.051, 2),
        (Task.TRAJECTORY, 0.41, 5),
    ],
)
def test_a_score_on_an_edge_has_the_better_colour(task, score, level):
    assert COLOUR_SCALES[task].level(score) == level


def test_the_legend_of_a_map_names_every_colour():
    assert [text for _, text in COLOUR_SCALES[Task.AFFORDANCE].legend] == [
        "from 0.80",
        "0.80 to 0.60",
        "0.60 to 0.40",
        "0.40 to 0.20",
        "under 0.20",
    ]
    assert COLOUR_SCALES[Task.TRAJECTORY].legend[0] == (1, "up to 5 %")
    assert COLOUR_SCALES[Task.TRAJECTORY].legend[-1] == (5, "over 40 %")


def test_bins_have_about_the_same_number_of_values():
    values = np.random.default_rng(0).lognormal(size=500)
    edges = bin_edges(values)
    bins = bin_indices(values, edges)
    counts = np.bincount(bins)
    assert len(edges) == 6
    assert counts.sum() == 500
    assert counts.min() >= 98
    assert (values >= edges[bins]).all()
    assert (values <= edges[bins + 1]).all()


def test_a_value_on_an_inner_edge_belongs_to_the_bin_above():
    edges = np.array([1.0, 2.0, 4.0])
    assert bin_indices(np.array([1.0, 1.9, 2.0, 4.0]), edges).tolist() == [0, 0, 1, 1]


def test_many_equal_values_make_fewer_bins():
    assert bin_edges(np.array([3.0] * 90 + [7.0] * 10)).tolist() == [3, 7]
    assert bin_edges(np.full(4, 3.0)).tolist() == [3, 3]
    assert bin_indices(np.full(4, 3.0), np.array([3.0, 3.0])).tolist() == [0] * 4


def test_success_in_bins_is_bootstrapped_by_scene():
    own = evaluations(6, success=np.array([1, 1, 0, 0, 0, 1], dtype=bool), scenes=tuple("aabbcc"))
    first, second, third = success_by_bin(own, np.array([0, 0, 0, 0, 1, -1]), 3)
    assert (first.mean, first.low, first.high, first.count) == (0.5, 0.0, 1.0, 4)
    assert (second.mean, second.count) == (0.0, 1)
    assert third.count == 0


def variable(value):
    return BinnedVariable("Size", "phrase", "size [px]", value, lambda edge: f"{edge:g}")


def test_a_bin_chart_marks_every_bin_at_its_share_between_its_ends():
    size = np.arange(10.0)
    own = evaluations(size=size, success=size >= 5)
    made = bin_chart(
        variable(lambda metrics: metrics.size), [("after", "a", own)], None, "% of boxes"
    )
    chart = parse_svg(made.chart)
    marks = [float(each.get("cy")) for each in of_class(chart, "mark")]
    assert len(marks) == 5
    assert marks[0] > marks[-1]
    for whisker, middle in zip(of_class(chart, "span"), marks, strict=True):
        ends = sorted(float(whisker.get(end)) for end in ("y1", "y2"))
        assert ends[0] <= middle <= ends[1]
    texts = [each.text for each in chart.iter() if each.text]
    assert texts.count("2") >= 4
    assert {"0", "9", "n", "size [px]", "% of boxes"} <= set(texts)


def test_equal_values_have_no_chart():
    own = evaluations()
    assert (
        bin_chart(variable(lambda metrics: metrics.size), [("after", "a", own)], None, "%") is None
    )
    assert (
        bin_chart(variable(lambda metrics: metrics.size), [("after", "a", own)], "other", "%")
        is None
    )


def test_every_task_has_all_splits_together_and_each_split(folders):
    comparison = Comparison(
        read_model_evaluation(folders.before), read_model_evaluation(folders.after), {}
    )
    found = analyze_errors(comparison)
    assert [len(own.thresholds) for own in found] == [3, 3]
    for own in found:
        assert [split.name for split in own.analyses] == [ALL, "adapt_test", "id_test"]
        assert all(len(split.maps) == 2 for split in own.analyses)
        assert [area.name for area in own.thresholds[0].areas] == ["embedded (before)", "q (after)"]
        counted = [curve.count for curve in own.thresholds]
        assert counted[0] == sum(counted[1:]) == 40


def test_a_single_split_is_shown_once(folders):
    found = analyze_errors(Comparison(None, read_model_evaluation(folders.sampled_after), {}))
    assert {split.name for own in found for split in own.analyses} == {"adapt_test"}
