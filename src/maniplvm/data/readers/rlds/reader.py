"""RLDS data sets (BridgeData V2, Open X-Embodiment): each episode becomes one trajectory sample.

TFDS writes an episode as one `tf.train.Example` in which every feature of a step is one long list
over all steps. The files are read without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maniplvm.data.images import EncodedImage, check_image
from maniplvm.data.readers._episodes import Episode, sample_of
from maniplvm.data.readers._json_record import text_value
from maniplvm.data.readers._robot_view import Recording, RobotView, choose_view
from maniplvm.data.readers.rlds.schema import STEPS, Shard, read_schema, shards
from maniplvm.data.readers.rlds.tf_example import (
    Feature,
    byte_strings,
    floats,
    parse_example,
    whole_numbers,
)
from maniplvm.data.readers.rlds.tf_record import RawRecord, read_tf_records
from maniplvm.data.record_errors import BadRecord, Cause, RecordError, UniqueIds
from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks.sample import Sample

NAME = "rlds"

_STATE = "observation/state"
_HAS_CAMERA = "episode_metadata/has_"


def read(
    source: Path,
    images: Path | None,
    calibration: Path | None = None,
    camera: str | None = None,
) -> Iterator[Sample | BadRecord]:
    """Read a data set's folder, or one of its `.tfrecord` files, episode by episode.

    Args:
        source: The folder that holds `features.json` (often named after a version), or a file.
        images: Refused: the images are inside the records.
        calibration: The file of `read_calibration`.
        camera: Key of the camera below `steps/`, or the end of its key; only needed where there
            are several.

    Raises:
        UserError: no such data set, no calibration (what is missing is said), or one that does not
            fit the data set.
    """
    if images is not None:
        raise UserError(f"format {NAME} keeps its images inside the records; leave --images out")
    schema = read_schema(source)
    recording = Recording(source, schema.cameras, schema.states, _STATE)
    reader = _Reader(choose_view(recording, calibration, camera), schema.instruction)
    ids = UniqueIds()
    for shard in shards(source, schema):
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
                yield BadRecord(str(shard.path), place, None, error.cause, error.detail)
            count += 1
    except RecordError as error:
        yield BadRecord(str(shard.path), "the file", None, error.cause, error.detail)
        return
    if shard.count is not None and count < shard.count:
        detail = f"the file ends after {count} of {shard.count} records; fetch it again"
        yield BadRecord(str(shard.path), f"record {count}", None, Cause.DAMAGED_FILE, detail)


@dataclass(frozen=True)
class _Reader:
    view: RobotView
    instruction: str

    def sample(self, record: RawRecord, shard: Shard, index: int) -> Sample:
        if record.data is None:
            raise record.problem or RecordError(Cause.DAMAGED_FILE, "the record cannot be read")
        example = parse_example(record.data)
        images = byte_strings(self._feature(example, STEPS + self.view.camera), self.view.camera)
        states = self._states(example)
        if len(images) != len(states):
            raise RecordError(
                Cause.DAMAGED_FILE,
                f"{len(images)} images of {self.view.camera!r}, but {len(states)} steps of "
                f"{self.view.column!r}",
            )
        if not len(states):
            raise RecordError(Cause.TOO_FEW_POINTS, "the episode has no step")
        stem = shard.path.name.replace(".tfrecord", "")
        episode = Episode(
            id=f"{NAME}-{stem}-{index}",
            instruction=self._text(example),
            image=self._image(example, images[0]),
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
        return sample_of(episode, self.view.calibration)

    def _states(self, example: Mapping[str, Feature]) -> FloatArray:
        """`(T, N)`."""
        numbers = floats(self._feature(example, STEPS + self.view.column), self.view.column)
        if len(numbers) % self.view.width:
            raise RecordError(
                Cause.DAMAGED_FILE,
                f"{self.view.column!r} holds {len(numbers)} numbers, no multiple of {self.view.width}",
            )
        return numbers.reshape(-1, self.view.width).astype(np.float64)

    def _image(self, example: Mapping[str, Feature], content: memoryview) -> EncodedImage:
        """Bridge fills in a black image where a camera was missing, and says so."""
        flag = _HAS_CAMERA + self.view.camera.rsplit("/", 1)[-1]
        if flag in example and whole_numbers(example[flag], flag) == [0]:
            raise RecordError(Cause.MISSING_IMAGE, f"the episode has no camera ({flag!r} is false)")
        return check_image(bytes(content), f"the first image of {self.view.camera!r}")

    def _text(self, example: Mapping[str, Feature]) -> str:
        """The first step's instruction, or the episode's."""
        texts = byte_strings(self._feature(example, self.instruction), self.instruction)
        try:
            text = bytes(texts[0]).decode() if texts else None
        except UnicodeDecodeError as error:
            detail = f"{self.instruction!r} is not UTF-8 ({error.reason})"
            raise RecordError(Cause.BAD_VALUE, detail) from error
        return text_value(text, repr(self.instruction))

    def _feature(self, example: Mapping[str, Feature], name: str) -> Feature:
        if name not in example:
            found = ", ".join(map(repr, sorted(example))) or "nothing"
            raise RecordError(Cause.MISSING_KEY, f"no {name!r}; found {found[:300]}")
        return example[name]
