"""VAIT, the vision-action instruction tuning set of LLARVA (Niu et al. 2024): traces of the gripper.

Records in LLaVA style: `{id, image, conversations: [human, gpt]}`. The question names the robot, the
control mode, the task and the last steps. The answer holds the next actions and the trace, in any
order: `The next action step: [...]. The trajectory: [[x, y], ...]`. A trace starts at the time of
its own image. The authors may have simplified it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.readers._conversations import (
    first_turn,
    instruction_of,
    parse_trace,
    read_conversations,
)
from maniplvm.data.readers._json import Record
from maniplvm.data.record_errors import BadRecord
from maniplvm.geometry.frames import FrameSpec
from maniplvm.tasks.sample import Sample, Task

NAME = "vait"
OPTIONS = ("frame",)


def read(
    source: Path, images: Path | None, *, frame: str = "pixels"
) -> Iterator[Sample | BadRecord]:
    """Read VAIT; `frame` is that of `read_conversations`.

    The split is the one in the file's name (`train.json`), else `train`.
    """
    return read_conversations(source, images, frame, NAME, to_sample)


def to_sample(record: Record, spec: FrameSpec) -> Sample:
    """Convert `{id, image, conversations}`.

    Raises:
        RecordError: the record is not valid.
    """
    question, answer = first_turn(record)
    image_name = record.text("image")
    image = record.read_image(image_name)
    split = record.file.split or "train"
    return Sample(
        id=record.stable_id(NAME, f"{Task.TRAJECTORY}-{split}"),
        task=Task.TRAJECTORY,
        instruction=instruction_of(question),
        image_size=image.size,
        target=parse_trace(answer, spec.bind(image.size)),
        image=image.data,
        split=split,
        provenance=record.provenance(NAME, source_id=record.id, image=image_name, frame=spec.name),
    )
