"""What is asked and what is answered: samples, prompts, and the one parser."""

from maniplvm.tasks.answers import Answer, ParseStatus, parse_answer
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task, TraceTarget

__all__ = [
    "Answer",
    "BoxTarget",
    "ParseStatus",
    "Sample",
    "Target",
    "Task",
    "TraceTarget",
    "parse_answer",
]
