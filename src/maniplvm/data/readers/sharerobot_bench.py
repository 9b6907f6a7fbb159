"""ShareRobot-Bench (Ji et al. 2025, RoboBrain): the benchmark of ShareRobot's models.

Records in LLaVA style. `image` is a string for affordance (the answer is a box), and a list of one
string for a trajectory. The answer is text; an option gives its coordinate frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.readers._conversations import (
    first_turn,
    instruction_of,
    parse_box,
    parse_trace,
    read_conversations,
)
from maniplvm.data.readers._json import Record
from maniplvm.data.record_errors import BadRecord
from maniplvm.geometry.frames import FrameSpec
from maniplvm.tasks.sample import Sample, Task

NAME = "sharerobot-bench"
OPTIONS = ("frame",)
SPLIT = "test"


def read(
    source: Path, images: Path | None, *, frame: str = "pixels"
) -> Iterator[Sample | BadRecord]:
    """Read the benchmark; `frame` is that of `read_conversations`."""
    return read_conversations(source, images, frame, NAME, to_sample)


def to_sample(record: Record, spec: FrameSpec) -> Sample:
    """Convert `{id, image, conversations}`.

    Raises:
        RecordError: the record is not valid.
    """
    question, answer = first_turn(record)
    image_name = record.image_name("image")
    is_trace = isinstance(record.fields["image"], list)
    image = record.read_image(image_name)
    frame = spec.bind(image.size)
    task = Task.TRAJECTORY if is_trace else Task.AFFORDANCE
    return Sample(
        id=record.stable_id(NAME, task),
        task=task,
        instruction=instruction_of(question),
        image_size=image.size,
        target=parse_trace(answer, frame) if is_trace else parse_box(answer, frame),
        image=image.data,
        split=SPLIT,
        provenance=record.provenance(
            NAME, source_id=record.id, image=image_name, question=question, frame=spec.name
        ),
    )
