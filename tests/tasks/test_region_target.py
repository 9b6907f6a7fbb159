import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.tasks import RegionTarget, Sample, Task
from tests.strategies import boxes

MASK = np.zeros((48, 64), dtype=bool)
MASK[10:30, 40:60] = True
U_SHAPE = [[0, 0], [30, 0], [30, 30], [20, 30], [20, 10], [10, 10], [10, 30], [0, 30]]


def test_a_union_of_boxes_counts_what_they_share_once():
    region = RegionTarget.of_boxes([[0, 0, 10, 10], [5, 5, 20, 10]])
    assert region.area_px == 150
    assert region.bounds.tolist() == [0, 0, 20, 10]
    assert region.points.tolist() == [[0, 0], [20, 10]]
    assert region.contains([[0, 0], [10, 5], [3, 12], [20, 10], [15, 2]]).tolist() == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_a_mask_and_polygons_are_a_union():
    region = RegionTarget([[[0, 0], [10, 0], [10, 10], [0, 10]]], MASK, marks=[[45, 15]])
    assert region.contains([[5, 5], [50, 20], [30, 20]]).tolist() == [True, True, False]
    assert region.bounds.tolist() == [0, 0, 60, 30]
    assert region.area_px == 100 + 400
    assert len(region.outlines) == 2
    assert region.marks.tolist() == [[45, 15]]


@given(shapes=st.lists(boxes(), min_size=1, max_size=4))
def test_the_reference_point_lies_inside(shapes):
    region = RegionTarget.of_boxes(shapes)
    assert region.contains([region.inside_point]).all()
    assert region.area_px > 0


def test_the_reference_point_lies_well_inside_a_bent_shape_and_a_mask():
    bent = RegionTarget([U_SHAPE])
    assert bent.contains(bent.inside_point + np.array([[3, 0], [-3, 0], [0, 3], [0, -3]])).all()
    assert RegionTarget(mask=MASK).inside_point == pytest.approx([50, 20], abs=1)


def test_regions_are_equal_by_value_and_cannot_be_changed():
    one, same = RegionTarget([U_SHAPE], MASK), RegionTarget([U_SHAPE], MASK.copy())
    assert one == same
    assert hash(one) == hash(same)
    assert one != RegionTarget([U_SHAPE])
    assert one != RegionTarget([U_SHAPE], MASK, marks=[[1, 2]])
    for array in (one.polygons[0], one.mask, one.bounds):
        assert not array.flags.writeable


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs a polygon or a mask"),
        ({"polygons": [[[0, 0], [1, 1]]]}, "polygon 0"),
        ({"polygons": [[[0, 0], [1, 1], [2, 2]]]}, "encloses no area"),
        ({"polygons": [[[0, 0], [1, np.inf], [2, 0]]]}, "finite"),
        ({"mask": np.zeros((4, 4), dtype=bool)}, "no set pixel"),
        ({"mask": np.ones((4, 4))}, "array of bool"),
        ({"mask": np.ones(4, dtype=bool)}, "array of bool"),
        ({"polygons": [U_SHAPE], "marks": [1, 2]}, "marks"),
    ],
)
def test_what_is_no_region_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        RegionTarget(**given)


def test_a_sample_takes_only_its_task_s_target_and_a_mask_of_its_image_s_size():
    region = RegionTarget(mask=MASK)
    sample = Sample("a", Task.POINTING, "hold it", (64, 48), region)
    assert sample.target is region
    with pytest.raises(ValueError, match="needs a BoxTarget, got RegionTarget"):
        Sample("a", Task.AFFORDANCE, "hold it", (64, 48), region)
    with pytest.raises(ValueError, match="a mask of 64x48 for an image of 48x64"):
        Sample("a", Task.POINTING, "hold it", (48, 64), region)
