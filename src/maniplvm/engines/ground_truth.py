"""A sample's target and coordinate frame as a string, for reward functions outside our trainer."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

from maniplvm.data.schema import row_of, sample_of
from maniplvm.errors import UserError
from maniplvm.geometry import Frame, FrameSpec, declared_frame, resolve_frame
from maniplvm.tasks import Sample

FORMAT = "maniplvm.ground-truth/1"

_ALWAYS = ("box", "trace")
"""Columns that `sample_of` expects even if they are empty."""


def write_ground_truth(sample: Sample, frame: FrameSpec) -> str:
    """Everything that scoring needs about a sample, as one line of JSON.

    The image and the provenance are left out. The size is that of the original image, because
    targets are in its pixels. The frame holds the resize of the model's processor.

    Args:
        sample: The sample.
        frame: The frame of the model, from `ModelInterface.frame_spec`.
    """
    row = row_of(replace(sample, image=None, provenance={}))
    content = {name: value for name, value in row.items() if value not in (None, "", "{}")}
    if "mask" in content:
        content["mask"] = base64.b64encode(content["mask"]["bytes"]).decode()
    return json.dumps({"format": FORMAT, **content, "frame": declared_frame(frame)})


@lru_cache(maxsize=4096)  # the completions of a group share one string
def read_ground_truth(text: str) -> tuple[Sample, Frame]:
    """The sample without its image, and its frame bound to the size of the original image.

    Args:
        text: A string of `write_ground_truth`.

    Raises:
        UserError: the string was not written by `write_ground_truth`.
    """
    try:
        content = json.loads(text)
        return _read(content)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise UserError(
            f"ground truth: {text[:80]!r} is not of the format {FORMAT} ({error}); export the data "
            "set again"
        ) from error


def _read(content: dict[str, Any]) -> tuple[Sample, Frame]:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}")
    row: dict[str, Any] = {name: content.get(name) for name in _ALWAYS}
    row |= {"scene": "", "part": "", "category": None, "provenance": "{}", **content}
    if "mask" in content:
        row["mask"] = {"bytes": base64.b64decode(content["mask"], validate=True)}
    sample = sample_of(row)
    return sample, resolve_frame(content["frame"], sample.image_size)
