"""From a data set to a checkpoint that ships."""

from __future__ import annotations

from pathlib import Path

import torch

from maniplvm.data import open_dataset
from maniplvm.embedded import Shape, write_untrained
from maniplvm.embedded.pretraining.corpus import corpus
from maniplvm.embedded.pretraining.dataset import Lessons
from maniplvm.embedded.pretraining.distributed import run_team
from maniplvm.embedded.pretraining.trainer import Report, Schooling, finished_weights, school
from maniplvm.errors import UserError
from maniplvm.models import load_model

_UNTRAINED, _MODEL = "untrained", "model"


def make_embedded(
    data: Path,
    split: str,
    settings: Schooling,
    folder: Path,
    report: Report,
    *,
    processes: int = 1,
    shape: Shape | None = None,
) -> Path:
    """Make the embedded model, or go on making it.

    Args:
        data: A simulated data set.
        split: What of it is learned from.
        settings: How.
        folder: Of the run.
        report: Told the losses now and then; a function of a module where there are several
            processes.
        processes: How many share every batch.
        shape: How large; None takes the shipped model's.

    Returns:
        The folder of the finished checkpoint, its weights in bfloat16.

    Raises:
        UserError: no data set, the folder holds a run with other settings, or a batch that cannot
            be shared evenly.
    """
    if settings.batch % processes:
        raise UserError(f"a batch of {settings.batch} cannot be shared by {processes} processes")
    untrained = folder / _UNTRAINED
    if not (untrained / "model.safetensors").exists():
        lessons = Lessons(open_dataset(data).samples(split))
        write_untrained(untrained, corpus(lessons), shape or Shape(), settings.seed)
    run_team(processes, _teach, data, split, settings, folder, report)
    loaded = load_model(untrained, dtype="float32", device="cpu")
    loaded.model.load_state_dict(finished_weights(folder, settings))
    loaded.model.to(torch.bfloat16)
    loaded.save(folder / _MODEL)
    return folder / _MODEL


def _teach(data: Path, split: str, settings: Schooling, folder: Path, report: Report) -> None:
    lessons = Lessons(open_dataset(data).samples(split))
    school(
        load_model(folder / _UNTRAINED, dtype="float32", device="cpu"),
        lessons,
        settings,
        folder,
        report,
    )
