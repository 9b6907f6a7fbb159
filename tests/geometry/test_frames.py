import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.geometry.frames import (
    FRAMES,
    Frame,
    FrameSpec,
    SmartResize,
    View,
    resolve_frame,
)
from tests.strategies import SIZE

SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10)


@pytest.mark.parametrize("name", FRAMES)
@given(size=SIZE, shares=SHARES)
def test_the_error_of_a_round_trip_is_at_most_half_a_quantum(name, size, shares):
    frame = FRAMES[name].bind(size)
    points = np.array(shares) * size
    error = np.abs(frame.decode(frame.encode(points)) - points)
    assert (error <= np.array(frame.quantum) / 2 + 1e-6).all()
    exact = frame.decode(frame.encode(points, rounded=False))
    assert exact == pytest.approx(points, abs=1e-6)


@pytest.mark.parametrize("name", FRAMES)
@given(size=SIZE, shares=SHARES)
def test_encoded_points_of_the_image_lie_inside_the_range(name, size, shares):
    frame = FRAMES[name].bind(size)
    assert frame.overshoot(frame.encode(np.array(shares) * size)) == 0


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("pixels", [160, 360]),
        ("robobrain2", [160, 360]),
        ("qwen2_vl", [161, 357]),
        ("qwen2_5_vl", [161, 357]),
        ("qwen3_vl", [250, 750]),
        ("unit", [0.25, 0.75]),
        ("robobrain1", [0.25, 0.75]),
        ("robopoint", [0.25, 0.75]),
        ("vla_r1", [0.25, 0.75]),
        ("gemini_er", [750, 250]),
        ("molmo", [25, 75]),
        ("molmoact", [64, 191]),
        ("embedded", [25, 74]),
    ],
)
def test_each_family_writes_a_quarter_and_three_quarters_in_its_own_numbers(name, numbers):
    frame = FRAMES[name].bind((640, 480))
    assert frame.encode([160.0, 360.0]).tolist() == numbers


def test_every_family_of_the_frame_table_is_tested():
    assert len(FRAMES) == 13


@pytest.mark.parametrize(
    ("original", "seen"),
    [
        ((640, 480), (644, 476)),
        ((64, 64), (56, 56)),
        ((8, 8), (56, 56)),
        ((6000, 4000), (4368, 2912)),
    ],
)
def test_smart_resize_makes_multiples_of_28_within_the_budget(original, seen):
    assert FRAMES["qwen2_5_vl"].bind(original).view.seen == seen


@given(size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_smart_resize_respects_its_limits(size):
    rule = SmartResize(factor=32, min_pixels=65536, max_pixels=1048576)
    if max(size) > 200 * min(size):
        with pytest.raises(ValueError, match="too narrow"):
            rule.size(size)
        return
    width, height = rule.size(size)
    assert width % 32 == 0
    assert height % 32 == 0
    assert width * height >= 65536
    assert width * height <= 1048576 or min(width, height) == 32


@pytest.mark.skipif(
    not (importlib.util.find_spec("transformers") and importlib.util.find_spec("torch")),
    reason="transformers is not installed",
)
@given(size=st.tuples(st.integers(8, 3000), st.integers(8, 3000)))
def test_smart_resize_agrees_with_the_real_processor(size):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    if max(size) > 200 * min(size):
        return
    width, height = size
    expected = smart_resize(height, width, 28, 3136, 12845056)
    assert FRAMES["qwen2_5_vl"].bind(size).view.seen == expected[::-1]


@given(size=SIZE, seen=SIZE, shares=SHARES)
def test_views_map_both_ways(size, seen, shares):
    points = np.array(shares) * size
    for view in (
        View.identity(size),
        View.resized(size, seen),
        View.letterboxed(size, seen),
        View.cropped(size, (3, 5, 30, 31)),
        View.cropped(size, (3, 5, 30, 31)).then(View.resized((27, 26), seen)),
    ):
        assert view.to_original(view.to_seen(points)) == pytest.approx(points, abs=1e-6)


def test_a_letterbox_pads_evenly_and_moves_the_target_with_the_image():
    view = View.letterboxed((640, 480), (336, 336))
    assert view.offset == (0, 42)
    assert view.to_seen([[0, 0], [640, 480]]).tolist() == [[0, 42], [336, 294]]


def test_a_crop_shifts_points_and_views_compose():
    chain = View.cropped((640, 480), (100, 50, 300, 150)).then(View.resized((200, 100), (400, 400)))
    assert chain.to_seen([200, 100]).tolist() == [200, 200]
    assert chain.original == (640, 480)
    with pytest.raises(ValueError, match="cannot follow"):
        View.identity((10, 10)).then(View.identity((20, 20)))


def test_a_frame_on_a_letterboxed_image_decodes_to_the_original():
    view = View.letterboxed((640, 480), (336, 336))
    frame = Frame("padded", view, span=1000.0)
    middle = frame.encode([320, 240])
    assert middle.tolist() == [500, 500]
    assert frame.decode([500, 125]) == pytest.approx([320, 0], abs=1)


def test_overshoot_is_the_distance_outside_the_range():
    frame = FRAMES["embedded"].bind((160, 160))
    assert frame.overshoot([[0, 99]]) == 0
    assert frame.overshoot([[0, 198]]) == 1
    assert frame.overshoot([[-99, 0]]) == 1
    assert frame.overshoot(np.empty((0, 2))) == 0
    tall = FRAMES["gemini_er"].bind((100, 400))
    assert tall.limits == (1000, 1000)
    pixels = Frame("yx", View.identity((100, 400)), y_first=True)
    assert pixels.limits == (400, 100)
    assert pixels.overshoot([[400, 100]]) == 0


def test_a_frame_is_given_by_name_mapping_spec_or_frame():
    size = (640, 480)
    assert resolve_frame(None, size).name == "pixels"
    assert resolve_frame("qwen3_vl", size).span == 1000
    assert resolve_frame(FRAMES["unit"], size).name == "unit"
    bound = FRAMES["unit"].bind(size)
    assert resolve_frame(bound, size) is bound
    assert resolve_frame({"name": "unit"}, size) == bound
    small = resolve_frame({"name": "qwen2_5_vl", "max_pixels": 28 * 28 * 64}, size)
    assert small.view.seen[0] * small.view.seen[1] <= 28 * 28 * 64


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("qwen", "unknown frame 'qwen'; choose from pixels, unit, qwen2_vl"),
        (7, "unknown frame 7"),
        ({"name": "qwen2_vl", "size": 3}, "expected the key name and optionally factor"),
        ({}, "got nothing"),
        ({"name": "qwen2_vl", "max_pixels": "9"}, "max_pixels must be a positive integer"),
        ({"name": "qwen2_vl", "factor": 0}, "factor must be a positive integer"),
        ({"name": "unit", "max_pixels": 3}, "frame unit: has no resize"),
        (FRAMES["unit"].bind((10, 10)), "bound to a"),
    ],
)
def test_an_invalid_frame_is_an_error(frame, message):
    with pytest.raises(ValueError, match=message):
        resolve_frame(frame, (640, 480))


def test_an_image_without_pixels_is_an_error():
    with pytest.raises(ValueError, match="at least one pixel"):
        FrameSpec("pixels").bind((0, 5))
