"""Samples and targets, prompts and reference completions, and the parser of completions."""

from maniplvm.tasks.parsing.reading import Answer, parse_answer
from maniplvm.tasks.parsing.status import Guess, ParseStatus
from maniplvm.tasks.prompts import (
    PROMPTS,
    PromptStyle,
    answerable_trace,
    resolve_prompt,
    write_answer,
    write_completion,
)
from maniplvm.tasks.reasoning import write_reasoning
from maniplvm.tasks.region_target import RegionTarget
from maniplvm.tasks.sample import BoxTarget, Sample, Target, Task, TraceTarget

__all__ = [
    "PROMPTS",
    "Answer",
    "BoxTarget",
    "Guess",
    "ParseStatus",
    "PromptStyle",
    "RegionTarget",
    "Sample",
    "Target",
    "Task",
    "TraceTarget",
    "answerable_trace",
    "parse_answer",
    "resolve_prompt",
    "write_answer",
    "write_completion",
    "write_reasoning",
]
