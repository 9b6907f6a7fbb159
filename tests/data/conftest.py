"""Images, samples and record files for the tests of `maniplvm.data`."""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maniplvm.data import BadRecord
from maniplvm.tasks.sample import BoxTarget, Sample, Task, TraceTarget

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real" / "sharerobot"


def encoded(size=(64, 48), form="PNG", seed=0, **options) -> bytes:
    """A noisy image, so that it does not compress."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoded_pixels(pixels, form, **options)


def encoded_pixels(pixels, form="PNG", **options) -> bytes:
    """An image file of these pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def box_sample(id="a", **fields) -> Sample:
    values = {
        "task": Task.AFFORDANCE,
        "instruction": "open the drawer",
        "image_size": (64, 48),
        "target": BoxTarget([1, 2, 30.5, 40]),
    }
    return Sample(id=id, **{**values, **fields})


def trace_sample(id="t", **fields) -> Sample:
    values = {
        "task": Task.TRAJECTORY,
        "instruction": "reach for the carrot",
        "image_size": (64, 48),
        "target": TraceTarget([[1, 2], [30, 40], [50.5, 7]]),
    }
    return Sample(id=id, **{**values, **fields})


def the_sample(items: Iterable[Sample | BadRecord]) -> Sample:
    """The last of these, which must be a sample."""
    *_, last = items
    assert isinstance(last, Sample), last
    return last


def the_bad_record(items: Iterable[Sample | BadRecord]) -> BadRecord:
    """The last of these, which must be a bad record, while the others are good."""
    *others, last = items
    assert isinstance(last, BadRecord), last
    assert not any(isinstance(other, BadRecord) for other in others)
    return last


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., Path]:
    """Write records as JSON or JSONL beside a folder `images` that holds `1.png` of 64 x 48 px."""

    def write(*values: object, name: str = "records.json") -> Path:
        images = tmp_path / "images"
        images.mkdir(exist_ok=True)
        (images / "1.png").write_bytes(encoded())
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        lines = "\n".join(json.dumps(value) for value in values)
        path.write_text(lines if path.suffix == ".jsonl" else json.dumps(list(values)))
        return path

    return write
