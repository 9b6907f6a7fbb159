import numpy as np
import pytest
from hypothesis import assume, given

from maniplvm.geometry import corner_distance, giou, iou
from maniplvm.geometry.boxes import area, as_boxes
from tests.strategies import boxes


@given(boxes())
def test_a_box_overlaps_itself_fully(box):
    assert iou(box, box) == pytest.approx(1.0)
    assert giou(box, box) == pytest.approx(1.0)
    assert corner_distance(box, box) == 0


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_bounded(a, b):
    assert iou(a, b) == iou(b, a)
    assert giou(a, b) == pytest.approx(float(giou(b, a)))
    assert 0 <= iou(a, b) <= 1
    assert -1 < giou(a, b) <= iou(a, b) + 1e-12


@given(boxes(), boxes())
def test_only_equal_boxes_reach_the_maximum(a, b):
    assume(np.abs(a - b).max() > 0.01)
    assert iou(a, b) < 1
    assert giou(a, b) < 1
    assert corner_distance(a, b) > 0


@given(boxes())
def test_iou_decreases_with_the_offset(box):
    width = box[2] - box[0]
    slid = [iou(box, box + [width * share, 0, width * share, 0]) for share in np.linspace(0, 1, 9)]
    assert (np.diff(slid) < 0).all()
    assert slid[-1] == pytest.approx(0, abs=1e-9)


@given(boxes(), boxes())
def test_iou_does_not_depend_on_the_unit(a, b):
    assert iou(a * 0.001, b * 0.001) == pytest.approx(float(iou(a, b)), abs=1e-9)


def test_boxes_of_one_pixel_and_unit_boxes_are_valid():
    assert iou([5, 5, 6, 6], [5, 5, 6, 6]) == 1
    assert iou([0.1, 0.1, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2]) == pytest.approx(1)


def test_known_overlaps():
    assert iou([0, 0, 2, 2], [1, 1, 3, 3]) == pytest.approx(1 / 7)
    assert giou([0, 0, 2, 2], [1, 1, 3, 3]) == pytest.approx(1 / 7 - 2 / 9)
    assert giou([0, 0, 1, 1], [9, 0, 10, 1]) == pytest.approx(-0.8)
    assert corner_distance([0, 0, 1, 1], [3, 4, 4, 5]) == pytest.approx(5)


def test_boxes_without_area_overlap_nothing():
    assert iou([1, 1, 1, 1], [1, 1, 1, 1]) == 0
    assert iou([1, 1, 1, 5], [0, 0, 4, 4]) == 0
    assert area([1, 1, 1, 5]) == 0


@given(boxes(), boxes(), boxes())
def test_a_batch_gives_the_results_of_its_pairs(a, b, c):
    first, second = np.stack([a, b, c]), np.stack([b, c, a])
    for metric in (iou, giou, corner_distance):
        assert metric(first, second).tolist() == [
            float(metric(p, q)) for p, q in zip(first, second, strict=True)
        ]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 2, 3], "expected shape"),
        (5.0, "expected shape"),
        ([0, 0, np.nan, 1], "finite"),
        ([0, 0, np.inf, 1], "finite"),
        ([3, 0, 1, 1], "x1 <= x2"),
    ],
)
def test_the_error_of_an_invalid_box_names_the_argument(box, message):
    with pytest.raises(ValueError, match=f"first boxes: .*{message}"):
        iou(box, [0, 0, 1, 1])
    with pytest.raises(ValueError, match=message):
        as_boxes(box)
