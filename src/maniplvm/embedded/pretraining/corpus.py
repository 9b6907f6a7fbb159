"""The texts on which the embedded model's tokenizer is trained."""

from __future__ import annotations

from collections.abc import Iterator

from maniplvm.embedded.pretraining.dataset import Lesson, Lessons
from maniplvm.tasks import PROMPTS, Task, write_completion, write_reasoning

_STYLE = PROMPTS["embedded"]


def corpus(lessons: Lessons) -> Iterator[str]:
    """Every wording of every task as a question, and one completion for each part and question."""
    shown: dict[str, Lesson] = {}
    for lesson in lessons:
        shown.setdefault(lesson.category, lesson)
    for category, lesson in sorted(shown.items()):
        for sample in (lesson.box_sample, lesson.trace_sample):
            frame = _STYLE.frame.bind(sample.image_size)
            yield f"assistant\n{write_completion(sample.target, frame, write_reasoning(sample))}\n"
        for wording in lessons.wordings[category]:
            for task in (Task.AFFORDANCE, Task.TRAJECTORY):
                yield f"user\n{_STYLE.ask(wording, task, frame)}\n"
