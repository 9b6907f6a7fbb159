import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from maniplvm.geometry import area_of_union, box_polygon, in_mask, in_polygon, regions
from maniplvm.geometry.regions import (
    as_polygon,
    edge_distance,
    in_polygons,
    mask_outlines,
    polygon_mask,
)
from tests.strategies import boxes

SQUARE = np.array([[10.0, 10], [30, 10], [30, 30], [10, 30]])
L_SHAPE = np.array([[0.0, 0], [30, 0], [30, 10], [10, 10], [10, 30], [0, 30]])
BOW_TIE = np.array([[0.0, 0], [10, 10], [10, 0], [0, 10]])


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ([20, 20], True),
        ([10, 10], True),
        ([30, 20], True),
        ([20, 30], True),
        ([20, 10], True),
        ([10, 25], True),
        ([9.999, 20], False),
        ([30.001, 30], False),
        ([20, 40], False),
        ([40, 10], False),
        ([0, 30], False),
    ],
)
def test_a_point_on_the_boundary_is_inside(point, inside):
    assert in_polygon([point], SQUARE).tolist() == [inside]


def test_a_polygon_may_be_concave_and_may_cross_itself():
    assert in_polygon([[5, 5], [20, 5], [5, 20], [20, 20]], L_SHAPE).tolist() == [1, 1, 1, 0]
    assert in_polygon([[2, 5], [5, 5], [5, 2], [5, 8]], BOW_TIE).tolist() == [1, 1, 0, 0]
    assert area_of_union([BOW_TIE]) == pytest.approx(50)


@given(box=boxes(), x=st.floats(-100, 3000), y=st.floats(-100, 3000))
def test_a_box_as_a_polygon_contains_the_same_points(box, x, y):
    expected = box[0] <= x <= box[2] and box[1] <= y <= box[3]
    near = min(abs(np.array([x, x, y, y]) - box[[0, 2, 1, 3]])) < 1e-3
    assert near or in_polygon([[x, y]], box_polygon(box)).tolist() == [expected]


@given(
    box=boxes(),
    turn=st.floats(0, 2 * math.pi),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
)
def test_rotation_preserves_containment_and_area(box, turn, shares):
    low, size = box[:2], box[2:] - box[:2]
    points = low + (np.array(shares) * 1.5 - 0.25) * size
    clear = (np.abs((points - low) / size * [1, 1] - [0.5, 0.5]) - 0.5).max(axis=1)
    points = points[np.abs(clear) > 1e-6]
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    polygon = box_polygon(box)
    assert (
        in_polygon(points, polygon).tolist()
        == in_polygon(points @ rotation.T, polygon @ rotation.T).tolist()
    )
    assert area_of_union([polygon @ rotation.T]) == pytest.approx(size.prod(), rel=1e-6)


@given(first=boxes(), second=boxes())
def test_the_area_of_two_boxes_is_their_union(first, second):
    inner = np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0)
    sizes = (first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()
    found = area_of_union([box_polygon(first), box_polygon(second)])
    assert found == pytest.approx(sizes - inner.prod(), rel=1e-9)


@given(
    points=st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=3, max_size=8, unique=True
    ),
)
def test_the_area_agrees_with_counting_and_does_not_grow_by_repeating(points):
    polygon = np.array(points, dtype=np.float64)
    area = area_of_union([polygon])
    cells = polygon_mask([polygon * 2], (120, 120)).sum() / 4
    edge = np.linalg.norm(polygon - np.roll(polygon, 1, axis=0), axis=1).sum()
    assert abs(area - cells) <= edge + 1
    assert area_of_union([polygon, polygon, polygon[::-1]]) == pytest.approx(area, abs=1e-6)


@pytest.mark.parametrize(
    "bad", [[[0, 0], [1, 1]], [[0, 0], [1, math.nan], [1, 0]], [[0, 0], [1, 1], [2, 2]], [1, 2, 3]]
)
def test_a_polygon_without_area_is_an_error(bad):
    with pytest.raises(ValueError, match="polygon"):
        as_polygon(bad)


MASKS = st.integers(0, 2**20 - 1).map(
    lambda bits: np.array([bits >> place & 1 for place in range(20)], dtype=bool).reshape(4, 5)
)


@given(mask=MASKS)
def test_a_mask_contains_its_pixels_and_their_edges(mask):
    rows, columns = np.nonzero(mask)
    centres = np.stack([columns + 0.5, rows + 0.5], axis=1)
    assert in_mask(centres, mask).all()
    corners = np.concatenate([centres + [dx, dy] for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)])
    assert in_mask(corners, mask).all()
    empty = np.argwhere(~mask)[:, ::-1] + 0.5
    assert not in_mask(empty, mask).any()
    outside = [[-0.1, 1], [5.1, 1], [1, -0.1], [1, 4.1], [1e9, -1e9]]
    assert not in_mask(outside, mask).any()


@given(mask=MASKS)
def test_outlines_cover_exactly_the_mask(mask):
    outlines = mask_outlines(mask)
    canvas = np.zeros(mask.shape, dtype=int)
    for outline in outlines:
        canvas += polygon_mask([outline], (5, 4))
    assert ((canvas % 2 == 1) == mask).all()


def test_covered_pixels_agree_with_an_independent_implementation():
    image = Image.new("1", (64, 48))
    ImageDraw.Draw(image).polygon([tuple(point) for point in L_SHAPE + 5], fill=1)
    theirs = np.asarray(image)
    ours = polygon_mask([L_SHAPE + 5], (64, 48))
    assert ours.sum() == 500
    assert (theirs & ours).sum() == 500  # theirs draws the far edges too


def wavy(count, radius=200.0):
    """A closed outline of many vertices around (320, 240)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    r = radius + 20 * np.sin(40 * angle)
    return np.column_stack([320 + r * np.cos(angle), 240 + r * np.sin(angle)])


def shoelace(polygon):
    x, y = polygon.T
    return abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


@pytest.mark.parametrize("table", [1, 7, 2**18])
def test_the_size_of_the_tables_changes_no_result(monkeypatch, table):
    rng = np.random.default_rng(1)
    polygons = [wavy(60), rng.uniform(0, 640, (9, 2)), wavy(30, 90)]
    points = rng.uniform(0, 640, (50, 2))
    area, inside = area_of_union(polygons), in_polygons(points, polygons)
    mask, distance = polygon_mask(polygons, (64, 48)), edge_distance(points, polygons)
    monkeypatch.setattr(regions, "_TABLE", table)
    assert area_of_union(polygons) == pytest.approx(area, rel=1e-12)
    assert np.array_equal(in_polygons(points, polygons), inside)
    assert np.array_equal(polygon_mask(polygons, (64, 48)), mask)
    assert np.array_equal(edge_distance(points, polygons), distance)


def test_a_mask_holds_exactly_the_pixels_whose_centres_lie_in_the_polygons():
    rng = np.random.default_rng(2)
    columns, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5)
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    halves = [np.round(rng.uniform(0, 40, (6, 2)) * 2) / 2 for _ in range(20)]
    for polygon in [*halves, np.array([[2.5, 3.5], [9.5, 3.5], [9.5, 8.5], [2.5, 8.5]])]:
        expected = in_polygons(centres, [polygon]).reshape(30, 40)
        assert np.array_equal(polygon_mask([polygon], (40, 30)), expected)


def test_memory_grows_with_the_vertices_and_not_with_their_square():
    polygon = wavy(3_000)
    tracemalloc.start()
    area = area_of_union([polygon])
    inside = in_polygon(np.random.default_rng(0).uniform(0, 640, (500, 2)), polygon)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert area == pytest.approx(shoelace(polygon), rel=1e-9)
    assert 0.2 < inside.mean() < 0.5
