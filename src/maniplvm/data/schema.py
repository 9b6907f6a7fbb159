"""The columns of a stored data set. One row of a parquet file is one `Sample`.

The column `image` is an `Image` feature of Hugging Face `datasets`, and the file holds that
library's description of every column. So `datasets.load_dataset("parquet", ...)` decodes the images
without this package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from maniplvm.data.masks import decode_mask, encode_mask
from maniplvm.data.record_errors import RecordError
from maniplvm.data.validation import provenance_json, unstorable
from maniplvm.errors import UserError
from maniplvm.optional import arrow
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task, TraceTarget

SCHEMA_VERSION = 1
"""Increased when a column changes its meaning. Older packages refuse newer data sets."""

_TEXT = {"dtype": "string", "_type": "Value"}
_WHOLE = {"dtype": "int32", "_type": "Value"}
_NUMBERS = {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "Sequence"}
_POINTS = {"feature": _NUMBERS, "_type": "Sequence"}
_FEATURES: dict[str, Mapping[str, Any]] = {
    "id": _TEXT,
    "task": _TEXT,
    "instruction": _TEXT,
    "image": {"_type": "Image"},
    "width": _WHOLE,
    "height": _WHOLE,
    "box": _NUMBERS,
    "trace": _POINTS,
    "split": _TEXT,
    "category": _TEXT,
    "provenance": _TEXT,
    "polygons": {"feature": _POINTS, "_type": "Sequence"},
    "mask": {"_type": "Image"},
    "marks": _POINTS,
    "scene": _TEXT,
    "part": _TEXT,
}

_REGION_COLUMNS = ("polygons", "mask", "marks")
ADDED_COLUMNS = (*_REGION_COLUMNS, "scene", "part")
"""Columns that older data sets lack. A missing region is None; `_migrated` gives the others."""

COLUMNS = tuple(_FEATURES)
COLUMNS_WITHOUT_IMAGE = tuple(name for name in COLUMNS if name != "image")

IMAGE_LEAF = "image.bytes"
LEAVES = (
    "id",
    "task",
    "instruction",
    IMAGE_LEAF,
    "image.path",
    "width",
    "height",
    "box.list.element",
    "trace.list.element.list.element",
    "split",
    "category",
    "provenance",
    "polygons.list.element.list.element.list.element",
    "mask.bytes",
    "mask.path",
    "marks.list.element.list.element",
    "scene",
    "part",
)
"""The columns as parquet stores them. The name of a nested column is its path."""


def arrow_schema() -> Any:
    """The `pyarrow.Schema` of every split's file, with the description for Hugging Face `datasets`."""
    pa = arrow()
    text, whole, numbers = pa.string(), pa.int32(), pa.list_(pa.float64())
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    points = pa.list_(numbers)
    types = {
        "image": image,
        "width": whole,
        "height": whole,
        "box": numbers,
        "trace": points,
        "polygons": pa.list_(points),
        "mask": image,
        "marks": points,
    }
    metadata = {
        "huggingface": json.dumps({"info": {"features": _FEATURES}}),
        "maniplvm": json.dumps({"schema_version": SCHEMA_VERSION}),
    }
    return pa.schema([(name, types.get(name, text)) for name in COLUMNS], metadata=metadata)


def row_of(sample: Sample) -> dict[str, Any]:
    """The row that stores a sample.

    Raises:
        UserError: the provenance is not JSON, or a string cannot be written as UTF-8.
    """
    if (reason := unstorable(sample)) is not None:
        raise UserError(f"sample {sample.id!r}: {reason}")
    target = sample.target
    return {
        "id": sample.id,
        "task": str(sample.task),
        "instruction": sample.instruction,
        "image": None if sample.image is None else {"bytes": sample.image, "path": None},
        "width": sample.image_size[0],
        "height": sample.image_size[1],
        "box": target.xyxy.tolist() if isinstance(target, BoxTarget) else None,
        "trace": target.points.tolist() if isinstance(target, TraceTarget) else None,
        "split": sample.split,
        "category": sample.category,
        "provenance": provenance_json(sample),
        **_region_columns(target if isinstance(target, RegionTarget) else None),
        "scene": sample.scene,
        "part": sample.part,
    }


def table_of(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a `pyarrow.Table` of `arrow_schema`."""
    return arrow().Table.from_pylist(rows, schema=arrow_schema())


def sample_of(row: Mapping[str, Any]) -> Sample:
    """The sample that a row stores. Without the column `image`, the sample has no image.

    Raises:
        ValueError: the row is not one that `row_of` could have written.
    """
    image = row.get("image")
    provenance = json.loads(row["provenance"])
    if row.get("scene") is None or row.get("part") is None:
        row = {**row, **_migrated(provenance)}
    return Sample(
        id=row["id"],
        task=Task(row["task"]),
        instruction=row["instruction"],
        image_size=(row["width"], row["height"]),
        target=_target_of(row),
        image=None if image is None else image["bytes"],
        split=row["split"],
        category=row["category"],
        scene=row["scene"],
        part=row["part"],
        provenance=provenance,
    )


def _target_of(row: Mapping[str, Any]) -> Target:
    polygons, mask = row.get("polygons"), row.get("mask")
    given = [row["box"] is not None, row["trace"] is not None, polygons is not None]
    if sum(given) != 1:
        raise ValueError(
            "exactly one of the columns 'box', 'trace' and 'polygons' must hold a value"
        )
    if polygons is None:
        return TraceTarget(row["trace"]) if row["box"] is None else BoxTarget(row["box"])
    try:
        pixels = None if mask is None else decode_mask(mask["bytes"])
    except RecordError as error:
        raise ValueError(f"column 'mask': {error}") from error
    return RegionTarget(polygons, pixels, row.get("marks"))


def _region_columns(region: RegionTarget | None) -> dict[str, Any]:
    """A stored region always has `polygons`: an empty list if it is only a mask."""
    if region is None:
        return dict.fromkeys(_REGION_COLUMNS)
    mask = None if region.mask is None else {"bytes": encode_mask(region.mask), "path": None}
    return {
        "polygons": [polygon.tolist() for polygon in region.polygons],
        "mask": mask,
        "marks": None if region.marks is None else region.marks.tolist(),
    }


def _migrated(provenance: Mapping[str, Any]) -> dict[str, str]:
    """`scene` and `part` of a row from before these columns.

    The simulator used to write both into its provenance. This is the only place in the core that
    reads keys of a provenance.
    """
    world, task, seed = (provenance.get(key) for key in ("world", "task", "seed"))
    is_simulated = isinstance(world, str) and isinstance(task, str) and isinstance(seed, int)
    part = provenance.get("part")
    return {
        "scene": f"{world}/{task}/{seed}" if is_simulated else "",
        "part": part if isinstance(part, str) else "",
    }
