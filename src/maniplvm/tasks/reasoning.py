"""The reasoning of a reference completion: it names the part to touch and invents nothing."""

from __future__ import annotations

from maniplvm.tasks.sample import Sample, Task


def write_reasoning(sample: Sample) -> str:
    """The content of `<think>` in a reference completion. No person wrote it.

    It names the sample's part. For a sample without a part it repeats the instruction.

    Args:
        sample: The sample that the completion answers.

    Returns:
        One line that holds no tag.
    """
    part = _without_tags(sample.part)
    if not part:
        return f"the task is to {_without_tags(sample.instruction)}"
    if sample.task is Task.TRAJECTORY:
        return f"reach {part} and move it"
    return f"touch {part}"


def _without_tags(text: str) -> str:
    return " ".join(text.replace("<", " ").replace(">", " ").split())
