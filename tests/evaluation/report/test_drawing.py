"""Overlays, inline charts and learning curves are drawn correctly."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from maniplvm.data import (
    PREDICTION_STYLE,
    TARGET_STYLE,
    open_dataset,
    write_dataset,
)
from maniplvm.evaluation.report.charts.chart import round_up
from maniplvm.evaluation.report.charts.inline import bar_chart, interval_chart
from maniplvm.evaluation.report.charts.learning_curves import learning_curves
from maniplvm.evaluation.report.folders import read_model_evaluation, read_run
from maniplvm.evaluation.report.html import tag
from maniplvm.evaluation.report.overlay import MAX_IMAGE_BYTES, PageImages, draw_overlay
from maniplvm.tasks import BoxTarget, RegionTarget, Sample, Task
from maniplvm.text import visible
from tests.evaluation.report.folders import write_evaluation, write_run


def parsed(markup):
    return ElementTree.fromstring(str(markup))  # noqa: S314 - our own drawing


def numbers(element, *names):
    return [float(element.get(name)) for name in names]


def numbers_of(element, *names):
    return [float(element.get(name).rstrip("%")) for name in names]


def test_the_outline_of_a_box_surrounds_it():
    drawn = parsed(draw_overlay("p0", (160, 120), [20, 30, 60, 70], [50, 40, 90, 100], "a"))
    boxes = {r.get("stroke"): r for r in drawn.iter("rect") if r.get("stroke")}
    assert set(boxes) == {TARGET_STYLE.colour, PREDICTION_STYLE.colour}
    stroke = float(boxes[TARGET_STYLE.colour].get("stroke-width"))
    x, y, width, height = numbers(boxes[TARGET_STYLE.colour], "x", "y", "width", "height")
    assert (x + stroke / 2, y + stroke / 2) == pytest.approx((20, 30), abs=0.02)
    assert (width - stroke, height - stroke) == pytest.approx((40, 40), abs=0.02)
    assert boxes[PREDICTION_STYLE.colour].get("stroke-dasharray")
    assert boxes[TARGET_STYLE.colour].get("stroke-dasharray") is None


def test_a_trace_starts_with_a_ring_and_ends_with_an_arrow_head():
    points = [[10, 10], [60, 40], [100, 90]]
    drawn = parsed(draw_overlay("p0", (160, 120), points, None, "a"))
    rings = [c for c in drawn.iter("circle") if c.get("fill") == "#fff"]
    assert [numbers(ring, "cx", "cy") for ring in rings] == [[10, 10]]
    heads = [p.get("points").split(" ")[0] for p in drawn.iter("polygon")]
    assert heads == ["100.0,90.0"]


def test_a_trace_of_equal_points_can_be_drawn():
    drawn = parsed(draw_overlay("p0", (160, 120), [[5, 5]] * 3, [[9, 9]] * 4, "a"))
    assert list(drawn.iter("polygon")) == []


def test_small_boxes_are_magnified_and_large_ones_are_not():
    tiny = draw_overlay("p0", (640, 480), [300, 200, 320, 215], [305, 205, 330, 220], "a")
    assert [svg.get("viewBox") for svg in parsed(tiny).iter("svg")][1:] != []
    large = draw_overlay("p0", (640, 480), [100, 100, 400, 300], [300, 200, 320, 215], "a")
    assert len(list(parsed(large).iter("svg"))) == 1


def test_a_region_is_outlined_and_points_are_crosses():
    region = RegionTarget([[(10, 10), (50, 10), (30, 60)]])
    drawn = parsed(draw_overlay("p0", (160, 120), region, [[20, 30], [90, 80]], "a"))
    outline = next(p for p in drawn.iter("polygon") if p.get("stroke") == TARGET_STYLE.colour)
    corners = {tuple(map(float, each.split(","))) for each in outline.get("points").split()}
    assert corners == {(10, 10), (50, 10), (30, 60)}
    crosses = [p for p in drawn.iter("path") if p.get("stroke") == PREDICTION_STYLE.colour]
    assert len(crosses) == 2
    assert list(drawn.iter("polyline")) == []


def test_an_image_that_compresses_badly_is_reduced(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    box = BoxTarget([10, 20, 300, 400])
    sample = Sample("a", Task.AFFORDANCE, "touch", (640, 480), box, buffer.getvalue(), "id_test")
    write_dataset(tmp_path / "set", [sample], name="set")
    evaluation = read_model_evaluation(write_evaluation(tmp_path / "eval", [sample], 0.0))
    album = PageImages(open_dataset(tmp_path / "set"))
    (first, target), again = album.add(evaluation.samples[0]), album.add(evaluation.samples[0])
    assert (first, target) == again == ("p0", box)
    symbols = str(album.symbols())
    assert symbols.count("<symbol") == 1
    assert len(symbols) < MAX_IMAGE_BYTES * 4 / 3 + 1000


def test_a_sample_without_an_image_is_grey(tmp_path):
    box = BoxTarget([10, 20, 30, 40])
    sample = Sample("a", Task.AFFORDANCE, "touch", (64, 48), box, None, "id_test")
    write_dataset(tmp_path / "set", [sample], name="set")
    evaluation = read_model_evaluation(write_evaluation(tmp_path / "eval", [sample], 0.0))
    album = PageImages(open_dataset(tmp_path / "set"))
    album.add(evaluation.samples[0])
    assert "data:" not in str(album.symbols())


def test_an_interval_right_of_zero_is_drawn_right_of_zero():
    drawn = parsed(interval_chart(0.05, 0.1, 0.15, 0.2, "after", "a"))
    zero, span = drawn.iter("line")
    assert zero.get("x1") == "50%"
    low, high = (float(span.get(end).rstrip("%")) for end in ("x1", "x2"))
    assert 50 < low < high < 100
    assert float(next(drawn.iter("circle")).get("cx").rstrip("%")) == pytest.approx(74, abs=0.01)


def test_bars_are_proportional_to_their_values_and_clipped_to_the_row():
    drawn = parsed(bar_chart([("before", 0.2, 0.1, 0.3), ("after", 9.0, None, None)], 1, "a"))
    assert [bar.get("width") for bar in drawn.iter("rect")] == ["20.00%", "100.00%"]
    whiskers = [line for line in drawn.iter("line") if line.get("class") == "whisker"]
    assert [numbers_of(line, "x1", "x2") for line in whiskers] == [[10, 30]]


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.11, 0.2), (0.2, 0.2), (3, 5), (7, 10), (0.021, 0.025), (0, 1)]
)
def test_limits_are_round_numbers(value, rounded):
    assert round_up(value) == pytest.approx(rounded)


def test_every_logged_metric_has_a_curve_and_rewards_come_first(tmp_path):
    run = read_run(write_run(tmp_path / "run"))
    rewards, others = learning_curves([run])
    assert rewards[0].name == "reward"
    assert all(curve.name.startswith("reward") for curve in rewards)
    names = {curve.name for curve in (*rewards, *others)}
    assert names == set(run.log[0]) - {"step", "seconds"}
    assert others[-1].name == "learning_rate"


def test_runs_share_a_chart_and_nan_is_left_out(tmp_path):
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b", method="sft")
    with (second / "log.jsonl").open("a") as log:
        log.write('{"step": 300, "loss": NaN}\n')
    rewards, others = learning_curves([read_run(first), read_run(second)])
    assert {curve.runs for curve in rewards} == {1}
    loss = next(curve for curve in others if curve.name == "loss")
    assert loss.runs == 2
    assert "nan" not in str(loss.chart).lower()
    lines = [p for p in parsed(loss.chart).iter("polyline") if "smooth" in p.get("class")]
    assert len(lines) == 2


def test_a_log_of_an_earlier_version_shares_its_charts_with_a_present_one(tmp_path):
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    old = (second / "log.jsonl").read_text()
    old = old.replace("frac_reward_zero_std", "groups_without_signal")
    old = old.replace("completions/mean_length", "completion_length")
    (second / "log.jsonl").write_text(old)
    _, others = learning_curves([read_run(first), read_run(second)])
    runs = {curve.name: curve.runs for curve in others}
    assert (runs["frac_reward_zero_std"], runs["completions/mean_length"]) == (2, 2)
    assert not {"groups_without_signal", "completion_length"} & set(runs)


def test_a_curve_of_one_step_and_a_flat_one_can_be_drawn(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "log.jsonl").write_text('{"step": 0, "kl": 0.0, "loss": -1.5, "entropy": 1e-7}\n')
    _, others = learning_curves([read_run(run)])
    assert len(others) == 3
    for curve in others:
        for line in parsed(curve.chart).iter("polyline"):
            x, y = map(float, line.get("points").split(","))
            assert 0 <= x <= 360
            assert 0 <= y <= 200


def test_a_metric_that_varies_by_rounding_only_has_different_tick_labels(tmp_path):
    run = write_run(tmp_path / "run")
    values = (0.20000000298, 0.2, 0.20000001)
    lines = [f'{{"step": {step}, "reward": {value}}}\n' for step, value in enumerate(values, 1)]
    (run / "log.jsonl").write_text("".join(lines))
    (curve,), _ = learning_curves([read_run(run)])
    labels = [
        text.text for text in parsed(curve.chart).iter("text") if text.text != "training step"
    ]
    values_up = [label for label in labels if "." in label]
    assert values_up == list(dict.fromkeys(values_up))
    assert "0.2" in labels


def test_texts_and_attributes_are_escaped():
    made = tag("p", '<b> & "', title='"><script>', class_="x", data_y=1.50)
    assert made == (
        '<p title="&#34;&gt;&lt;script&gt;" class="x" data-y="1.5">&lt;b&gt; &amp; &#34;</p>'
    )


def test_control_characters_become_visible_and_other_characters_stay():
    assert visible("a\nb\tc") == "a\nb\tc"
    assert visible("\x00\x1b\x7f\u202eb\u2066") == "␀␛��b�"
    assert visible("抽屉を開ける 🤖 é") == "抽屉を開ける 🤖 é"
