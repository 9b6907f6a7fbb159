"""VAIT, the vision-action instruction tuning set of LLARVA (Niu et al. 2024): traces of the gripper.

Records in the style of LLaVA: `{id, image, conversations: [human, gpt]}`. The question tells robot,
control, task and the last steps; the answer holds the next actions and the trace, in any order:
`The next action step: [...]. The trajectory: [[x, y], ...]`. A trace runs from its own image's
time on and may have been thinned out by its makers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maniplvm.data.readers._conversations import (
    first_turn,
    instruction_of,
    read_conversations,
    trace_in,
)
from maniplvm.data.readers._json_record import Record
from maniplvm.data.record_errors import BadRecord
from maniplvm.geometry.frames import FrameSpec
from maniplvm.tasks.sample import Sample, Task

NAME = "vait"
OPTIONS = ("frame",)


def read(
    source: Path, images: Path | None, *, frame: str = "pixels"
) -> Iterator[Sample | BadRecord]:
    """Read VAIT; see `read_conversations`, whose frame it takes.

    A file named after a split (`train.json`) gives that split.
    """
    return read_conversations(source, images, frame, NAME, sample_of)


def sample_of(record: Record, spec: FrameSpec) -> Sample:
    """One record `{id, image, conversations}`.

    Raises:
        RecordError: whatever is wrong with it.
    """
    question, answer = first_turn(record)
    image = record.text("image")
    picture = record.image(image)
    split = record.file.split or "train"
    return Sample(
        id=record.stable_id(NAME, f"{Task.TRAJECTORY}-{split}"),
        task=Task.TRAJECTORY,
        instruction=instruction_of(question),
        image_size=picture.size,
        target=trace_in(answer, spec.bind(picture.size)),
        image=picture.data,
        split=split,
        provenance=record.provenance(NAME, source_id=record.id, image=image, frame=spec.name),
    )
