"""The course itself: batches, losses, and a state that a killed run goes on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from maniplvm.embedded.pretraining.dataset import Lessons, View
from maniplvm.embedded.pretraining.distributed import Team
from maniplvm.embedded.pretraining.heads import Heads
from maniplvm.embedded.pretraining.packing import IGNORED, Packed, Packer
from maniplvm.errors import UserError
from maniplvm.files import replacing
from maniplvm.models import LoadedModel

STATE = "state.pt"
LOG = "log.jsonl"
_WINDOW = 8
"""Batches among which lessons with traces of like length are put together."""

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Schooling:
    """How the model is taught.

    Attributes:
        steps: Of the optimiser, in all cycles together; `cycles` divides it.
        cycles: How often the learning rate rises and falls (warm restarts, Loshchilov and Hutter
            2017). The model is the average of its weights at their ends (Izmailov et al. 2018).
        last_share: The last cycle's share in that average; the others share the rest evenly.
        absent: How often, in the last cycle, the image does not hold what is asked for. One cycle
            alone has none.
        batch: Images a step, each with both questions.
        learning_rate: The highest, held from `warmup` until the decay starts. So a longer course
            begins like a shorter one.
        warmup: Steps of a cycle until then.
        decay: Share of a cycle, at its end, over which it falls to 0.
        weight_decay: Of matrices.
        text_weight: Of the loss on tokens that are no coordinates.
        trace_weight: Of the loss on a trace's coordinates, beside 1 for a box's.
        auxiliary_weight: Of the auxiliary heads.
        blur: Width of a coordinate's label before and after the decay, in steps of the frame.
        seed: Of data order and augmentation.
        save_every: Steps between saved states.
        log_every: Steps between lines of the log.
    """

    steps: int = 5000
    cycles: int = 1
    last_share: float = 0.6
    absent: float = 0.06
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.3
    weight_decay: float = 0.05
    text_weight: float = 0.5
    trace_weight: float = 2.5
    auxiliary_weight: float = 1.0
    blur: tuple[float, float] = (1.8, 0.8)
    seed: int = 0
    save_every: int = 200
    log_every: int = 20

    @property
    def cycle(self) -> int:
        """Steps of one cycle."""
        return self.steps // self.cycles

    def absent_at(self, step: int) -> float:
        """How often the image does not hold what is asked for, at a step."""
        return self.absent if 0 < step // self.cycle == self.cycles - 1 else 0.0

    def shares(self) -> list[float]:
        """Share of each cycle's end in the model."""
        if self.cycles == 1:
            return [1.0]
        before = (1 - self.last_share) / (self.cycles - 1)
        return [before] * (self.cycles - 1) + [self.last_share]

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        started = (step % self.cycle + 1) / self.warmup
        return self.learning_rate * min(1.0, started, self._left(step))

    def blur_at(self, step: int) -> float:
        """Width of a coordinate's label at a step."""
        first, last = self.blur
        return last + (first - last) * min(1.0, self._left(step))

    def continues(self, saved: Mapping[str, Any], step: int) -> bool:
        """Whether a run with these settings may go on from a state of another.

        Only the number of steps may differ, and only before the first decay of either has started.

        Args:
            saved: The other's settings as plain data.
            step: Where its state was saved.
        """
        own = json.loads(json.dumps(asdict(self)))
        undecayed = step <= (1 - self.decay) * min(self.cycle, saved["steps"] // self.cycles)
        return saved == own or (undecayed and {**saved, "steps": self.steps} == own)

    def _left(self, step: int) -> float:
        """1 or more until a cycle's decay starts, then down to almost 0."""
        return (self.cycle - step % self.cycle) / (self.decay * self.cycle)


def school(
    loaded: LoadedModel, lessons: Lessons, settings: Schooling, folder: Path, report: Report
) -> None:
    """Teach a model in place; a run that is started again goes on where its last state was saved.

    Args:
        loaded: An untrained embedded model, in float32.
        lessons: What it learns from.
        settings: How.
        folder: Where state and log lie.
        report: Told the smoothed losses now and then.

    Raises:
        UserError: the folder holds the state of other settings.
    """
    course = _Course(loaded, lessons, settings, folder)
    step = course.resume()
    with ThreadPoolExecutor(1) as ahead:
        batch = ahead.submit(course.batch, step)
        while step < settings.steps:
            views, packed = batch.result()
            if step + 1 < settings.steps:
                batch = ahead.submit(course.batch, step + 1)
            losses = course.learn(step, views, packed)
            step += 1
            if course.writes and step % settings.log_every == 0:
                report(course.log(step, losses))
            if course.writes and (step % settings.save_every == 0 or step % settings.cycle == 0):
                course.save(step)


def finished_weights(folder: Path, settings: Schooling) -> dict[str, torch.Tensor]:
    """The weights that a finished course came to: the average over the ends of its cycles."""
    ends = torch.load(folder / STATE, weights_only=True)["ends"]
    return {
        name: sum(
            (share * end[name].float() for share, end in zip(settings.shares(), ends, strict=True)),
            start=torch.zeros_like(value, dtype=torch.float32),
        ).to(value.dtype)
        for name, value in ends[0].items()
    }


class _Course:
    def __init__(
        self, loaded: LoadedModel, lessons: Lessons, settings: Schooling, folder: Path
    ) -> None:
        self._model, self._lessons, self._settings = loaded.model, lessons, settings
        self._packer = Packer(loaded)
        self._team = Team()
        self._points = tuple(len(lesson.trace) for lesson in lessons)
        self._folder = folder
        torch.manual_seed(settings.seed)
        self._heads = Heads(
            self._model, lessons.parts, self._packer.grid_side, self._packer.merged_side
        )
        self._parameters = [*self._model.parameters(), *self._heads.parameters()]
        self._optimizer = _optimizer(self._parameters, settings)
        self._seconds, self._started = 0.0, time.monotonic()
        self._ends: list[dict[str, torch.Tensor]] = []
        self._model.train()

    @property
    def writes(self) -> bool:
        """Whether this process keeps log and state."""
        return self._team.rank == 0

    def batch(self, step: int) -> tuple[list[View], Packed]:
        """This process's views of a step and their rows; they depend on the step alone."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, step, self._team.rank])
        epoch, within = divmod(step, len(_epoch(self._points, settings.batch, settings.seed, 0)))
        chosen = _epoch(self._points, settings.batch, settings.seed, epoch)[within]
        mine = self._team.share(chosen.tolist())
        absent = settings.absent_at(step)
        views = [self._lessons.show(each, self._packer.side, rng, absent) for each in mine]
        return views, self._packer.pack(views)

    def learn(self, step: int, views: list[View], packed: Packed) -> dict[str, float]:
        """One step."""
        losses = self._losses(step, views, packed)
        weights = {
            "box": 1.0,
            "trace": self._settings.trace_weight,
            "text": self._settings.text_weight,
        }
        total = torch.stack(
            [
                weights.get(name, self._settings.auxiliary_weight) * each
                for name, each in losses.items()
            ]
        ).sum()
        total.backward()
        self._team.average_gradients(self._parameters)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.rate(step)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {name: float(each.detach()) for name, each in losses.items()}

    def _losses(self, step: int, views: list[View], packed: Packed) -> dict[str, torch.Tensor]:
        image_tokens = packed.ids == self._packer.image_id
        hidden = self._model.model(
            input_ids=packed.ids,
            position_ids=packed.positions,
            attention_mask=packed.mask,
            pixel_values=packed.pixels,
            image_grid_thw=packed.grid,
            mm_token_type_ids=image_tokens.long(),
            use_cache=False,
        ).last_hidden_state
        asked = packed.labels[:, 1:] != IGNORED
        logits = self._model.lm_head(hidden[:, :-1][asked])
        rows = torch.arange(len(hidden))[:, None]
        auxiliary = self._heads.losses(views, image_tokens, hidden[rows, packed.last])
        answers = self._answer_losses(
            logits, packed.labels[:, 1:][asked], packed.branch[:, 1:][asked], step
        )
        return answers | auxiliary

    def _answer_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, branch: torch.Tensor, step: int
    ) -> dict[str, torch.Tensor]:
        numbers = self._packer.coordinate_ids
        is_number = torch.isin(labels, numbers)
        value = (labels[is_number][:, None] == numbers).long().argmax(1)
        width = self._settings.blur_at(step)
        near = torch.exp(-0.5 * ((torch.arange(len(numbers)) - value[:, None]) / width) ** 2)
        near = near / near.sum(1, keepdim=True)
        log_probs = logits.log_softmax(-1)
        of_numbers = -(near * log_probs[is_number][:, numbers]).sum(1)
        of = branch[is_number]
        return {
            "box": of_numbers[of == 1].mean(),
            "trace": of_numbers[of == 2].mean(),
            "text": functional.nll_loss(log_probs[~is_number], labels[~is_number]),
        }

    def log(self, step: int, losses: dict[str, float]) -> dict[str, float]:
        """Write a line of the log."""
        line = {
            "step": step,
            "seconds": round(self._spent(), 1),
            "learning_rate": self._settings.rate(step),
            **{name: round(value, 4) for name, value in losses.items()},
        }
        with (self._folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line

    def save(self, step: int) -> None:
        """Write the state beside the old one, then put it in its place."""
        if step % self._settings.cycle == 0:
            weights = self._model.state_dict()
            self._ends.append({name: each.clone() for name, each in weights.items()})
        state = {
            "settings": json.dumps(asdict(self._settings), sort_keys=True),
            "step": step,
            "seconds": self._spent(),
            "model": self._model.state_dict(),
            "heads": self._heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "ends": self._ends,
        }
        with replacing(self._folder / STATE) as unfinished:
            torch.save(state, unfinished)

    def resume(self) -> int:
        """The step to go on from; 0 where nothing was saved."""
        path = self._folder / STATE
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True)
        if not self._settings.continues(json.loads(state["settings"]), int(state["step"])):
            raise UserError(f"{path}: belongs to a run with other settings; choose another folder")
        self._model.load_state_dict(state["model"])
        self._heads.load_state_dict(state["heads"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._seconds, self._ends = state["seconds"], state["ends"]
        return int(state["step"])

    def _spent(self) -> float:
        return self._seconds + time.monotonic() - self._started


def _optimizer(parameters: list[torch.nn.Parameter], settings: Schooling) -> torch.optim.Optimizer:
    groups = [
        {
            "params": [each for each in parameters if each.ndim >= 2],
            "weight_decay": settings.weight_decay,
        },
        {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)


@lru_cache(maxsize=2)
def _epoch(points: tuple[int, ...], batch: int, seed: int, epoch: int) -> np.ndarray[Any, Any]:
    """`(steps, batch)` lessons of one epoch: shuffled, and traces of like length together.

    Rows of a batch are padded to the longest, so likeness saves time; it is looked for only
    within a few batches, so that chance keeps its part. Lessons that fill no batch are left out.
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
