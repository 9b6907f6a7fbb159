"""From lessons to a checkpoint that ships."""

from __future__ import annotations

from pathlib import Path

import torch

from maniplvm.models import load_model
from maniplvm.models.embedded import Shape, write_untrained
from maniplvm.training.embedded.corpus import corpus
from maniplvm.training.embedded.lessons import Lessons
from maniplvm.training.embedded.schooling import Report, Schooling, school

_UNTRAINED, _MODEL = "untrained", "model"


def make_embedded(
    lessons: Lessons,
    settings: Schooling,
    folder: Path,
    report: Report,
    shape: Shape | None = None,
) -> Path:
    """Make the embedded model, or go on making it.

    Args:
        lessons: What it learns from.
        settings: How.
        folder: Of the run.
        report: Told the losses now and then.
        shape: How large; None takes the shipped model's.

    Returns:
        The folder of the finished checkpoint, its weights in bfloat16.

    Raises:
        UserError: the folder holds a run with other settings.
    """
    untrained = folder / _UNTRAINED
    if not (untrained / "model.safetensors").exists():
        write_untrained(untrained, corpus(lessons), shape or Shape(), settings.seed)
    loaded = load_model(untrained, dtype="float32", device="cpu")
    school(loaded, lessons, settings, folder, report)
    loaded.model.to(torch.bfloat16)
    loaded.save(folder / _MODEL)
    return folder / _MODEL
