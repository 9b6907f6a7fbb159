"""The pretraining loop: batches, losses, and a saved state from which a run resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from maniplvm.embedded.pretraining.config import PretrainingConfig
from maniplvm.embedded.pretraining.dataset import AugmentedExample, PretrainingDataset
from maniplvm.embedded.pretraining.distributed import ProcessGroup
from maniplvm.embedded.pretraining.heads import AuxiliaryHeads
from maniplvm.embedded.pretraining.packing import IGNORED, PackedBatch, Packer
from maniplvm.errors import UserError
from maniplvm.files import append_record, read_records, replacing, write_records
from maniplvm.models import LoadedModel
from maniplvm.models.untrusted import first_line

STATE = "state.pt"
LOG = "log.jsonl"
_WINDOW = 8
"""Number of batches within which examples are sorted by the length of their traces."""

Report = Callable[[dict[str, float]], None]


def pretrain(
    loaded: LoadedModel,
    dataset: PretrainingDataset,
    config: PretrainingConfig,
    folder: Path,
    report: Report,
) -> None:
    """Train a model in place; a run that is started again resumes from its last saved state.

    Args:
        loaded: An untrained embedded model, in float32.
        dataset: Training data.
        config: Settings of the run.
        folder: Folder of state and log.
        report: Called with each line of the log.

    Raises:
        UserError: the folder holds the state of a run with other settings.
    """
    trainer = _Trainer(loaded, dataset, config, folder)
    step = trainer.resume()
    with ThreadPoolExecutor(1) as ahead:
        batch = ahead.submit(trainer.load_batch, step)
        while step < config.steps:
            examples, packed = batch.result()
            if step + 1 < config.steps:
                batch = ahead.submit(trainer.load_batch, step + 1)
            losses = trainer.training_step(step, examples, packed)
            step += 1
            if trainer.is_main_process and step % config.log_every == 0:
                report(trainer.log(step, losses))
            if trainer.is_main_process and (
                step % config.save_every == 0 or step % config.cycle_steps == 0
            ):
                trainer.save(step)


def finished_weights(folder: Path, config: PretrainingConfig) -> dict[str, torch.Tensor]:
    """Final weights of a finished run: the weighted average over the ends of its cycles."""
    ends = _read_state(folder / STATE)["ends"]
    weights = config.cycle_weights()
    return {
        name: sum(
            (weight * end[name].float() for weight, end in zip(weights, ends, strict=True)),
            start=torch.zeros_like(value, dtype=torch.float32),
        ).to(value.dtype)
        for name, value in ends[0].items()
    }


class _Trainer:
    def __init__(
        self,
        loaded: LoadedModel,
        dataset: PretrainingDataset,
        config: PretrainingConfig,
        folder: Path,
    ) -> None:
        self._model, self._dataset, self._config = loaded.model, dataset, config
        self._packer = Packer(loaded)
        self._group = ProcessGroup()
        self._points = tuple(len(example.trace) for example in dataset)
        self._folder = folder
        torch.manual_seed(config.seed)
        self._heads = AuxiliaryHeads(
            self._model, dataset.part_names, self._packer.grid_side, self._packer.merged_side
        )
        self._parameters = [*self._model.parameters(), *self._heads.parameters()]
        self._optimizer = _optimizer(self._parameters, config)
        self._seconds, self._started = 0.0, time.monotonic()
        self._ends: list[dict[str, torch.Tensor]] = []
        self._model.train()

    @property
    def is_main_process(self) -> bool:
        """Whether this process writes log and state."""
        return self._group.rank == 0

    def load_batch(self, step: int) -> tuple[list[AugmentedExample], PackedBatch]:
        """This process's part of a step's batch, which depends on the step alone."""
        config = self._config
        rng = np.random.default_rng([config.seed, step, self._group.rank])
        epoch, within = divmod(step, len(_epoch(self._points, config.batch, config.seed, 0)))
        chosen = _epoch(self._points, config.batch, config.seed, epoch)[within]
        local = self._group.shard(chosen.tolist())
        absent = config.absent_at(step)
        examples = [self._dataset.augment(each, self._packer.side, rng, absent) for each in local]
        return examples, self._packer.pack(examples)

    def training_step(
        self, step: int, examples: list[AugmentedExample], packed: PackedBatch
    ) -> dict[str, float]:
        """Update the weights once; returns the losses by name."""
        losses = self._losses(step, examples, packed)
        weights = {
            "box": 1.0,
            "trace": self._config.trace_weight,
            "text": self._config.text_weight,
        }
        total = torch.stack(
            [
                weights.get(name, self._config.auxiliary_weight) * each
                for name, each in losses.items()
            ]
        ).sum()
        total.backward()
        self._group.average_gradients(self._parameters)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate_at(step)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {name: float(each.detach()) for name, each in losses.items()}

    def _losses(
        self, step: int, examples: list[AugmentedExample], packed: PackedBatch
    ) -> dict[str, torch.Tensor]:
        image_tokens = packed.input_ids == self._packer.image_id
        hidden = self._model.model(
            input_ids=packed.input_ids,
            position_ids=packed.position_ids,
            attention_mask=packed.attention_mask,
            pixel_values=packed.pixel_values,
            image_grid_thw=packed.image_grid_thw,
            mm_token_type_ids=image_tokens.long(),
            use_cache=False,
        ).last_hidden_state
        is_label = packed.labels[:, 1:] != IGNORED
        logits = self._model.lm_head(hidden[:, :-1][is_label])
        rows = torch.arange(len(hidden))[:, None]
        auxiliary = self._heads.losses(examples, image_tokens, hidden[rows, packed.prompt_ends])
        answers = self._answer_losses(
            logits, packed.labels[:, 1:][is_label], packed.segment_ids[:, 1:][is_label], step
        )
        return answers | auxiliary

    def _answer_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, segment_ids: torch.Tensor, step: int
    ) -> dict[str, torch.Tensor]:
        numbers = self._packer.coordinate_ids
        is_number = torch.isin(labels, numbers)
        value = (labels[is_number][:, None] == numbers).long().argmax(1)
        width = self._config.blur_at(step)
        smoothed = torch.exp(-0.5 * ((torch.arange(len(numbers)) - value[:, None]) / width) ** 2)
        smoothed = smoothed / smoothed.sum(1, keepdim=True)
        log_probs = logits.log_softmax(-1)
        number_losses = -(smoothed * log_probs[is_number][:, numbers]).sum(1)
        segment = segment_ids[is_number]
        return {
            "box": number_losses[segment == 1].mean(),
            "trace": number_losses[segment == 2].mean(),
            "text": functional.nll_loss(log_probs[~is_number], labels[~is_number]),
        }

    def log(self, step: int, losses: dict[str, float]) -> dict[str, float]:
        """Write a line of the log, and return it."""
        line = {
            "step": step,
            "seconds": round(self._seconds_so_far(), 1),
            "learning_rate": self._config.learning_rate_at(step),
            **{name: round(value, 4) for name, value in losses.items()},
        }
        append_record(self._folder / LOG, line)
        return line

    def save(self, step: int) -> None:
        """Save the state; a new file replaces the old one only when it is complete."""
        if step % self._config.cycle_steps == 0:
            weights = self._model.state_dict()
            self._ends.append({name: each.clone() for name, each in weights.items()})
        state = {
            "settings": json.dumps(asdict(self._config), sort_keys=True),
            "step": step,
            "seconds": self._seconds_so_far(),
            "model": self._model.state_dict(),
            "heads": self._heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "ends": self._ends,
        }
        with replacing(self._folder / STATE) as unfinished:
            torch.save(state, unfinished)

    def resume(self) -> int:
        """Load the saved state and return its step; 0 if nothing was saved.

        The log then ends at that step.
        """
        path = self._folder / STATE
        if not path.exists():
            self._cut_log(0)
            return 0
        state = _read_state(path)
        if not self._config.can_resume(json.loads(state["settings"]), int(state["step"])):
            raise UserError(f"{path}: belongs to a run with other settings; choose another folder")
        self._model.load_state_dict(state["model"])
        self._heads.load_state_dict(state["heads"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._seconds, self._ends = state["seconds"], state["ends"]
        self._cut_log(int(state["step"]))
        return int(state["step"])

    def _cut_log(self, step: int) -> None:
        log = self._folder / LOG
        if self.is_main_process and log.is_file():
            write_records(log, [line for line in read_records(log) if line["step"] <= step])

    def _seconds_so_far(self) -> float:
        return self._seconds + time.monotonic() - self._started


def _read_state(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise UserError(
            f"{path}: damaged ({first_line(error)}); remove it, and the same command starts again"
        ) from error


def _optimizer(
    parameters: list[torch.nn.Parameter], config: PretrainingConfig
) -> torch.optim.Optimizer:
    groups = [
        {
            "params": [each for each in parameters if each.ndim >= 2],
            "weight_decay": config.weight_decay,
        },
        {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


@lru_cache(maxsize=2)
def _epoch(points: tuple[int, ...], batch: int, seed: int, epoch: int) -> np.ndarray[Any, Any]:
    """`(steps, batch)` numbers of the examples of one epoch, shuffled and grouped by trace length.

    Rows of a batch are padded to the longest, so traces of similar length save time. Examples are
    sorted only within a few batches, which keeps the order random. An incomplete batch is dropped.
    """
    rng = np.random.default_rng([seed, epoch, len(points)])
    order = rng.permutation(len(points))
    lengths = np.asarray(points)
    batches = [
        each
        for start in range(0, len(order), _WINDOW * batch)
        for window in [order[start : start + _WINDOW * batch]]
        for each in _cut(window[np.argsort(lengths[window], kind="stable")], batch)
    ]
    return np.stack(batches)[rng.permutation(len(batches))]


def _cut(window: np.ndarray[Any, Any], batch: int) -> list[np.ndarray[Any, Any]]:
    whole = len(window) // batch * batch
    return list(window[:whole].reshape(-1, batch))
