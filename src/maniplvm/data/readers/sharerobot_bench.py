"""ShareRobot-Bench (Ji et al. 2025, RoboBrain): what ShareRobot's models are measured on.

Records in the style of LLaVA. `image` is a text where the answer is a box (affordance) and a list
of one where it is a trajectory. The answer is text; its frame is an option.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.readers._conversations import (
    box_in,
    first_turn,
    instruction_of,
    read_conversations,
    trace_in,
)
from maniplvm.data.readers._json_record import Record, only_image
from maniplvm.data.record_errors import BadRecord
from maniplvm.geometry.frames import FrameSpec
from maniplvm.tasks.sample import Sample, Task

NAME = "sharerobot-bench"
OPTIONS = ("frame",)
SPLIT = "test"


def read(
    source: Path, images: Path | None, *, frame: str = "pixels"
) -> Iterator[Sample | BadRecord]:
    """Read the benchmark; see `read_conversations`, whose frame it takes."""
    return read_conversations(source, images, frame, NAME, sample_of)


def sample_of(record: Record, spec: FrameSpec) -> Sample:
    """One record `{id, image, conversations}`.

    Raises:
        RecordError: whatever is wrong with it.
    """
    question, answer = first_turn(record)
    value: object = record.fields[record.key_of("image")]
    image = only_image(value)
    task = Task.TRAJECTORY if isinstance(value, list) else Task.AFFORDANCE
    picture = record.image(image)
    frame = spec.bind(picture.size)
    return Sample(
        id=record.stable_id(NAME, task),
        task=task,
        instruction=instruction_of(question),
        image_size=picture.size,
        target=trace_in(answer, frame) if task is Task.TRAJECTORY else box_in(answer, frame),
        image=picture.data,
        split=SPLIT,
        provenance=record.provenance(
            NAME, source_id=record.id, image=image, question=question, frame=spec.name
        ),
    )
