"""What a supervised completion says inside `<think>`: the part that is meant, nothing made up."""

from __future__ import annotations

from maniplvm.tasks.sample import Sample, Task


def write_reasoning(sample: Sample) -> str:
    """The reasoning that supervision teaches for a sample; no person wrote it.

    A simulated sample knows the part that its expert touched (`provenance["part"]`). Others know
    only their instruction, so that is all the reasoning restates.

    Args:
        sample: What is asked.

    Returns:
        One line without any of the four tags.
    """
    part = sample.provenance.get("part")
    if not isinstance(part, str) or not part:
        return f"the task is to {_untagged(sample.instruction)}"
    if sample.task is Task.TRAJECTORY:
        return f"reach {_untagged(part)} and move it"
    return f"touch {_untagged(part)}"


def _untagged(text: str) -> str:
    return " ".join(text.replace("<", " ").replace(">", " ").split())
