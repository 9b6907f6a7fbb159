"""RLDS data sets (BridgeData V2, Open X-Embodiment): each episode becomes one trajectory sample.

TFDS writes an episode as one `tf.train.Example`. In it, each feature of a step is one long list over
all steps. The files are read without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maniplvm.data.images import EncodedImage, check_image, decode
from maniplvm.data.readers._episodes import Episode, to_sample
from maniplvm.data.readers._robot_view import OPTIONS, RobotFeatures, RobotView, select_view
from maniplvm.data.readers.rlds.schema import STEPS, Shard, list_shards, read_schema
from maniplvm.data.readers.rlds.tf_example import (
    Feature,
    byte_strings,
    floats,
    parse_example,
)
from maniplvm.data.readers.rlds.tf_record import TFRecord, read_tf_records
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import UniqueIds, as_string
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks.sample import Sample

__all__ = ["NAME", "OPTIONS", "read"]

NAME = "rlds"

_DEFAULT_STATE = "observation/state"


def read(
    source: Path,
    images: Path | None,
    calibration: Path | None = None,
    camera: str | None = None,
) -> Iterator[Sample | BadRecord]:
    """Read a data set's folder, or one of its `.tfrecord` files, episode by episode.

    Args:
        source: The folder that holds `features.json` (often named after a version), or a file.
        images: Must be None, because the images are inside the records.
        calibration: The calibration file, as `read_calibration` reads it.
        camera: The camera's key below `steps/`, or the end of its key. It is needed if there are
            several cameras.

    Raises:
        UserError: the data set does not exist, there is no calibration, or the calibration does
            not fit the data set.
    """
    if images is not None:
        raise UserError(f"format {NAME} keeps its images inside the records; leave --images out")
    schema = read_schema(source)
    features = RobotFeatures(source, schema.cameras, schema.states, _DEFAULT_STATE)
    reader = _Reader(select_view(features, calibration, camera), schema.instruction)
    ids = UniqueIds()
    for shard in list_shards(source, schema):
        yield from _samples(shard, reader, ids)


def _samples(shard: Shard, reader: _Reader, ids: UniqueIds) -> Iterator[Sample | BadRecord]:
    count = 0
    try:
        for record in read_tf_records(shard.path):
            try:
                sample = reader.sample(record, shard, count)
                ids.check(sample.id, str(shard.path), f"record {count}")
                yield sample
            except RecordError as error:
                place = f"record {count}"
                yield BadRecord(str(shard.path), place, None, error.code, error.detail)
            count += 1
    except RecordError as error:
        yield BadRecord(str(shard.path), "the file", None, error.code, error.detail)
        return
    if shard.count is not None and count < shard.count:
        detail = f"the file ends after {count} of {shard.count} records; download it again"
        yield BadRecord(str(shard.path), f"record {count}", None, ErrorCode.DAMAGED_FILE, detail)


@dataclass(frozen=True)
class _Reader:
    view: RobotView
    instruction: str

    def sample(self, record: TFRecord, shard: Shard, index: int) -> Sample:
        if record.data is None:
            raise record.error or RecordError(ErrorCode.DAMAGED_FILE, "the record cannot be read")
        example = parse_example(record.data)
        images = byte_strings(self._feature(example, STEPS + self.view.camera), self.view.camera)
        states = self._states(example)
        if len(images) != len(states):
            raise RecordError(
                ErrorCode.DAMAGED_FILE,
                f"{len(images)} images of {self.view.camera!r}, but {len(states)} steps of "
                f"{self.view.column!r}",
            )
        if not len(states):
            raise RecordError(ErrorCode.TOO_FEW_POINTS, "the episode has no step")
        stem = shard.path.name.replace(".tfrecord", "")
        episode = Episode(
            id=f"{NAME}-{stem}-{index}",
            instruction=self._text(example),
            image=self._image(images[0]),
            positions=self.view.positions(states),
            split=shard.split,
            category=shard.dataset,
            provenance={
                "format": NAME,
                "file": shard.path.name,
                "place": f"record {index}",
                "camera": self.view.camera,
            },
        )
        return to_sample(episode, self.view.calibration)

    def _states(self, example: Mapping[str, Feature]) -> FloatArray:
        """`(T, N)`."""
        numbers = floats(self._feature(example, STEPS + self.view.column), self.view.column)
        if len(numbers) % self.view.width:
            raise RecordError(
                ErrorCode.DAMAGED_FILE,
                f"{self.view.column!r} holds {len(numbers)} numbers, which is not a multiple of {self.view.width}",
            )
        return numbers.reshape(-1, self.view.width).astype(np.float64)

    def _image(self, content: memoryview) -> EncodedImage:
        """The first image.

        BridgeData stores a black image where a camera was missing. Its flags `has_image_*` do not
        decide, because some writers leave them false for images that exist.
        """
        image = check_image(bytes(content), f"the first image of {self.view.camera!r}")
        if decode(image.data).getbbox() is None:
            raise RecordError(
                ErrorCode.MISSING_IMAGE,
                f"the first image of {self.view.camera!r} is black, so the episode has no such "
                "camera; choose another with --camera",
            )
        return image

    def _text(self, example: Mapping[str, Feature]) -> str:
        """The instruction of the first step, or of the episode."""
        texts = byte_strings(self._feature(example, self.instruction), self.instruction)
        try:
            text = bytes(texts[0]).decode() if texts else None
        except UnicodeDecodeError as error:
            detail = f"{self.instruction!r} is not UTF-8 ({error.reason})"
            raise RecordError(ErrorCode.BAD_VALUE, detail) from error
        return as_string(text, repr(self.instruction))

    def _feature(self, example: Mapping[str, Feature], name: str) -> Feature:
        if name not in example:
            found = ", ".join(map(repr, sorted(example))) or "nothing"
            raise RecordError(ErrorCode.MISSING_KEY, f"no {name!r}; found {found[:300]}")
        return example[name]
