"""Build the embedded checkpoint from a data set: tokenizer, pretraining, final weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from maniplvm.data import open_dataset
from maniplvm.embedded import ModelShape, write_untrained_checkpoint
from maniplvm.embedded.pretraining.config import PretrainingConfig
from maniplvm.embedded.pretraining.dataset import Example, PretrainingDataset
from maniplvm.embedded.pretraining.distributed import run_distributed
from maniplvm.embedded.pretraining.trainer import Report, finished_weights, pretrain
from maniplvm.errors import UserError
from maniplvm.files import locked, replacing
from maniplvm.models import load_model
from maniplvm.tasks import PROMPTS, Task, write_completion, write_reasoning

_UNTRAINED, _MODEL = "untrained", "model"
_STYLE = PROMPTS["embedded"]


def build_checkpoint(
    data: Path,
    split: str,
    config: PretrainingConfig,
    folder: Path,
    report: Report,
    *,
    processes: int = 1,
    shape: ModelShape | None = None,
) -> Path:
    """Pretrain the embedded model and write its checkpoint; an interrupted run is resumed.

    Args:
        data: Folder of a simulated data set.
        split: Split to train on.
        config: Settings of the run.
        folder: Folder of the run.
        report: Called with each line of the log. With several processes it must be a function of
            a module.
        processes: Number of processes that share each batch.
        shape: Size of the model; None takes that of the shipped model.

    Returns:
        The folder of the finished checkpoint, with weights in bfloat16.

    Raises:
        UserError: no data set, a folder of a run with other settings or of another process, or a batch that cannot be
            divided equally among the processes.
    """
    if config.batch % processes:
        raise UserError(f"a batch of {config.batch} cannot be divided by {processes} processes")
    untrained = folder / _UNTRAINED
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not untrained.exists():
            dataset = PretrainingDataset(open_dataset(data).samples(split))
            texts = tokenizer_corpus(dataset)
            with replacing(untrained) as unfinished:
                write_untrained_checkpoint(unfinished, texts, shape or ModelShape(), config.seed)
        run_distributed(processes, _pretrain_process, data, split, config, folder, report)
        loaded = load_model(untrained, dtype="float32", device="cpu")
        loaded.model.load_state_dict(finished_weights(folder, config))
        loaded.model.to(torch.bfloat16)
        with replacing(folder / _MODEL) as unfinished:
            loaded.save(unfinished)
    return folder / _MODEL


def tokenizer_corpus(dataset: PretrainingDataset) -> Iterator[str]:
    """Training texts of the tokenizer: all prompts, and one completion for each task."""
    first: dict[str, Example] = {}
    for example in dataset:
        first.setdefault(example.category, example)
    for category, example in sorted(first.items()):
        for sample in (example.box_sample, example.trace_sample):
            frame = _STYLE.frame.bind(sample.image_size)
            yield f"assistant\n{write_completion(sample.target, frame, write_reasoning(sample))}\n"
        for instruction in dataset.instructions[category]:
            for task in (Task.AFFORDANCE, Task.TRAJECTORY):
                yield f"user\n{_STYLE.format(instruction, task, frame)}\n"


def _pretrain_process(
    data: Path, split: str, config: PretrainingConfig, folder: Path, report: Report
) -> None:
    dataset = PretrainingDataset(open_dataset(data).samples(split))
    pretrain(
        load_model(folder / _UNTRAINED, dtype="float32", device="cpu"),
        dataset,
        config,
        folder,
        report,
    )
