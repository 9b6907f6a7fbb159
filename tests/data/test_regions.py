"""Region targets: from records, in a stored data set, and drawn on images."""

import io
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from maniplvm.data import (
    PREDICTION_STYLE,
    TARGET_STYLE,
    Annotation,
    Points,
    as_answer,
    contact_sheet,
    describe,
    draw_answers,
    open_dataset,
    write_dataset,
)
from maniplvm.data.masks import decode_mask, encode_mask, read_mask
from maniplvm.data.readers import jsonl
from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.data.schema import ADDED_COLUMNS
from maniplvm.data.validation import region_target
from maniplvm.tasks import RegionTarget, Sample, Task
from tests.data.conftest import box_sample, encoded, the_bad_record, the_sample, trace_sample
from tests.data.drawing.test_answers import near
from tests.data.test_validation import ANY_JSON

SIZE = (64, 48)
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]
MASK = np.zeros((48, 64), dtype=bool)
MASK[20:40, 30:50] = True


def region_sample(id="r", **fields):
    target = RegionTarget([SQUARE, np.array(SQUARE) + 15.25], MASK, marks=[[12, 12.5]])
    values = {
        "task": Task.POINTING,
        "instruction": "hold the kettle",
        "image_size": SIZE,
        "target": target,
        "image": encoded(),
    }
    return Sample(id=id, **{**values, **fields})


def test_regions_come_back_as_they_were_written(tmp_path):
    written = [
        region_sample("both"),
        region_sample("mask", target=RegionTarget(mask=MASK)),
        region_sample("polygons", target=RegionTarget([SQUARE])),
        box_sample("box", image=encoded()),
        trace_sample("trace"),
    ]
    write_dataset(tmp_path / "set", written, name="regions")
    found = open_dataset(tmp_path / "set")
    assert list(found.samples()) == written
    assert found.sample("mask") == written[1]
    assert [sample.id for sample in found.samples(task="pointing", images=False)] == [
        "both",
        "mask",
        "polygons",
    ]
    assert describe(found).spreads()["region area [% of image]"].least == pytest.approx(
        100 * 400 / (64 * 48)
    )


def test_a_data_set_written_before_regions_existed_is_still_read(tmp_path):
    written = [box_sample("a", image=encoded()), trace_sample("b")]
    write_dataset(tmp_path / "set", written, name="old")
    path = tmp_path / "set" / "train.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(list(ADDED_COLUMNS)), path)
    found = open_dataset(tmp_path / "set")
    assert list(found.samples()) == written
    assert found.sample("b") == written[1]


def test_hugging_face_datasets_decodes_masks_and_polygons(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    write_dataset(tmp_path / "set", [region_sample(), box_sample("b")], name="hf")
    loaded = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "set" / "train.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert loaded[0]["mask"].size == SIZE
    assert (np.asarray(loaded[0]["mask"]) == MASK).all()
    assert loaded[0]["polygons"][0] == SQUARE
    assert loaded[1]["mask"] is None
    assert loaded[1]["box"] == [1, 2, 30.5, 40]


@given(bits=st.binary(min_size=15, max_size=15))
def test_a_mask_comes_back_from_its_image(bits):
    mask = np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).reshape(8, 15).astype(bool)
    assert (decode_mask(encode_mask(mask)) == mask).all()
    assert encode_mask(mask) == encode_mask(mask.copy())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_pixels_that_are_not_black_are_set_in_masks_of_every_image_mode(tmp_path, mode):
    image = Image.fromarray(MASK)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "mask.png")
    assert (decode_mask((tmp_path / "mask.png").read_bytes()) == MASK).all()


@pytest.mark.parametrize("quality", [75, 90, 95])
def test_a_jpeg_mask_has_the_area_of_its_region(quality):
    region = Image.new("L", (320, 240))
    ImageDraw.Draw(region).ellipse((100, 80, 180, 150), fill=255)
    buffer = io.BytesIO()
    region.save(buffer, "JPEG", quality=quality)
    decoded, exact = decode_mask(buffer.getvalue()), np.asarray(region) > 0
    assert (decoded != exact).mean() < 1e-4
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        weights = np.asarray(image).sum() / 255
    assert decoded.sum() == pytest.approx(weights, rel=0.002)


def test_a_label_of_one_is_set_in_a_mask_without_lossy_compression():
    buffer = io.BytesIO()
    Image.fromarray(MASK.astype(np.uint8)).save(buffer, "PNG")
    assert (decode_mask(buffer.getvalue()) == MASK).all()


def test_a_mask_is_turned_by_its_exif_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "PNG", exif=exif)
    assert (decode_mask(buffer.getvalue()) == np.rot90(MASK, -1)).all()


def test_transparent_pixels_of_a_mask_are_not_set(tmp_path):
    rgba = np.zeros((*MASK.shape, 4), dtype=np.uint8)
    rgba[..., :3], rgba[..., 3] = 255, 255 * MASK
    Image.fromarray(rgba).save(tmp_path / "mask.png")
    assert (read_mask(tmp_path, "mask.png") == MASK).all()


def test_boxes_polygons_and_a_mask_are_united_and_an_overhang_is_clipped():
    region = region_target(
        SIZE, polygons=[SQUARE], boxes=[[40, 0, 64.5, 10]], mask=MASK, points=[[12, 12]]
    )
    assert region.contains([[20, 20], [63, 5], [45, 30], [5, 40]]).tolist() == [1, 1, 1, 0]
    assert region.bounds.tolist() == [10, 0, 64, 40]
    assert region.marks.tolist() == [[12, 12]]


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({}, ErrorCode.MISSING_KEY, "at least one polygon or box, or a mask"),
        ({"polygons": []}, ErrorCode.MISSING_KEY, "at least one polygon"),
        ({"polygons": "x"}, ErrorCode.WRONG_TYPE, "region's polygons needs a list"),
        (
            {"polygons": [SQUARE[:2]]},
            ErrorCode.TOO_FEW_POINTS,
            "polygon 0, needs at least 3 points",
        ),
        ({"polygons": [[[1, 1], [5, 5], [9, 9]]]}, ErrorCode.EMPTY_BOX, "encloses no area"),
        ({"polygons": [[[1, 1], [5, math.nan], [9, 9]]]}, ErrorCode.NOT_FINITE, "float nan"),
        ({"polygons": [[[0, 0], [0.9, 0], [1, 1]]]}, ErrorCode.NOT_PIXELS, "share of the image"),
        ({"polygons": [[[0, 0], [70, 0], [1, 9]]]}, ErrorCode.OUTSIDE_IMAGE, "reaches (70, 0)"),
        (
            {"polygons": [[[0, 0], [7, 0], [1]]]},
            ErrorCode.WRONG_TYPE,
            "needs 2 numbers x, y, got 1",
        ),
        (
            {"polygons": [[[1, 1], [5, 5], [9, 1]] * 2000, [[1, 1], [5, 5], [9, 1]] * 2000]},
            ErrorCode.BAD_VALUE,
            "region has 12,000 vertices; at most 10,000 are read; simplify",
        ),
        ({"boxes": [[1, 2, 3]]}, ErrorCode.WRONG_TYPE, "box 0, needs 4 numbers"),
        ({"boxes": [[5, 5, 5, 9]]}, ErrorCode.EMPTY_BOX, "box 0, is 0 x 4 px"),
        ({"mask": MASK[1:]}, ErrorCode.SIZE_MISMATCH, "mask is 64x47, but its image is 64x48"),
        ({"mask": MASK & False}, ErrorCode.BAD_VALUE, "no set pixel"),
        (
            {"mask": MASK, "points": [[0.5, 0.5]]},
            ErrorCode.NOT_PIXELS,
            "region's points lies in 0..1",
        ),
        ({"mask": MASK, "points": []}, ErrorCode.TOO_FEW_POINTS, "at least 1 point, got 0"),
    ],
)
def test_a_bad_region_is_reported_with_its_error_code(given, code, words):
    with pytest.raises(RecordError) as caught:
        region_target(SIZE, **given)
    assert caught.value.code is code
    assert words in caught.value.detail


@given(value=ANY_JSON)
def test_no_json_value_raises_anything_else(value):
    for key in ("polygons", "boxes", "points"):
        given, refused = {"mask": MASK} if key == "points" else {}, ""
        try:
            region_target(SIZE, **given, **{key: value})
        except RecordError as error:
            refused = error.detail
        assert "\n" not in refused


def pointing(**changes):
    values = {
        "id": "p-1",
        "task": "pointing",
        "instruction": "hold the kettle",
        "image": "1.png",
        "polygons": [SQUARE],
    }
    return {k: v for k, v in {**values, **changes}.items() if v is not ...}


def test_the_exchange_format_supports_pointing(records, tmp_path):
    path = records(
        pointing(boxes=[[40, 0, 60, 10]], mask="mask.png", points=[[12, 12]]), name="m.jsonl"
    )
    (tmp_path / "images" / "mask.png").write_bytes(encode_mask(MASK))
    sample = the_sample(jsonl.read(path, None))
    assert sample.task is Task.POINTING
    assert sample.target.contains([[20, 20], [45, 5], [45, 30], [5, 40]]).tolist() == [1, 1, 1, 0]
    assert sample.target.marks.tolist() == [[12, 12]]


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (pointing(polygons=...), ErrorCode.MISSING_KEY, "no 'box' or 'trace' or 'polygons'"),
        (
            pointing(polygons=..., box=[1, 2, 9, 9]),
            ErrorCode.BAD_VALUE,
            "needs the key 'polygons' or",
        ),
        (pointing(box=[1, 2, 9, 9]), ErrorCode.BAD_VALUE, "holds both 'polygons' and 'box'"),
        (
            pointing(polygons=..., points=[[1, 2]]),
            ErrorCode.BAD_VALUE,
            "needs the key 'polygons' or",
        ),
        (pointing(mask="gone.png"), ErrorCode.MISSING_IMAGE, "gone.png is not a file"),
        (pointing(mask="../1.png"), ErrorCode.ESCAPING_PATH, "plain path"),
        (pointing(mask=3), ErrorCode.WRONG_TYPE, "'mask' needs a string"),
    ],
)
def test_a_bad_pointing_record_is_reported_with_its_error_code(records, bad, code, words):
    result = the_bad_record(jsonl.read(records(pointing(id="fine"), bad, name="m.jsonl"), None))
    assert result.code is code
    assert words in result.detail


def test_a_region_is_outlined_and_points_are_crosses():
    grey = Image.new("RGB", (640, 480), (90, 90, 90))
    region = RegionTarget([[[100, 100], [400, 100], [250, 300]]])
    drawn = draw_answers(
        grey,
        [
            (region, TARGET_STYLE),
            (as_answer([[250, 150], [500, 400]], Task.POINTING), PREDICTION_STYLE),
        ],
    )
    outline = near(drawn.crop((0, 0, 640, 480)), TARGET_STYLE)
    assert np.abs(outline.min(axis=0) - (100, 100)).max() <= 8
    crosses = near(drawn.crop((0, 0, 640, 480)), PREDICTION_STYLE)
    assert len(crosses) > 50
    gaps = np.linalg.norm(crosses[:, None] - [[250, 150], [500, 400]], axis=2).min(axis=1)
    assert gaps.max() < 15
    assert isinstance(as_answer([[1, 2]], Task.POINTING), Points)
    assert as_answer([[1, 2]], Task.TRAJECTORY) == [[1, 2]]


def test_a_contact_sheet_shows_pointing_samples_with_their_predictions():
    sheet = contact_sheet(
        [region_sample()], tile=320, annotations=[Annotation([[20, 20]], "inside 1.00")]
    )
    assert len(near(sheet, PREDICTION_STYLE)) > 20
    assert len(near(sheet, TARGET_STYLE)) > 50


def test_the_description_of_the_columns_matches_the_stored_columns(tmp_path):
    write_dataset(tmp_path / "set", [region_sample()], name="described")
    file = pq.read_schema(tmp_path / "set" / "train.parquet")
    features = json.loads(file.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == file.names
