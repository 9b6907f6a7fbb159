"""One row for each image: a shared prompt, then both questions as branches blind to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maniplvm.embedded import COORDINATES
from maniplvm.embedded.pretraining.dataset import View
from maniplvm.models import ModelInterface, chat_messages
from maniplvm.models.tokenizers import IMAGE
from maniplvm.tasks import BoxTarget, Task, TraceTarget, write_completion, write_reasoning

_UNIT_PX = 1000.0
"""Targets are written on an image of this size, since the frame counts shares of the sides."""
IGNORED = -100
_PROMPT, _PADDING = 0, 3
_TASKS = (Task.AFFORDANCE, Task.TRAJECTORY)


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch, ready for the model.

    Attributes:
        ids: `(B, T)` tokens.
        positions: `(3, B, T)` M-RoPE positions; each branch's restart after the prompt.
        mask: `(B, 1, T, T)` bool: what each token sees.
        labels: `(B, T)`, `IGNORED` outside completions.
        branch: `(B, T)`: 1 for the box branch, 2 for the trace branch, 0 for the prompt.
        last: `(B, 2)`: where each question's prompt ends.
        pixels: `(B * patches, values)`, normalised.
        grid: `(B, 3)`.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    branch: torch.Tensor
    last: torch.Tensor
    pixels: torch.Tensor
    grid: torch.Tensor


class Packer:
    """Turns views into rows, in the very tokens that the processor makes of a chat.

    Args:
        interface: Of the model that is taught.
    """

    def __init__(self, interface: ModelInterface) -> None:
        self._tokenizer = interface.tokenizer
        self._maker = interface.processor.image_processor
        self._interface = interface
        self._image = self._tokenizer.convert_tokens_to_ids(IMAGE)
        self._frame = interface.frame_spec.bind((int(_UNIT_PX), int(_UNIT_PX)))
        self._known: dict[str, list[int]] = {}
        self.side = int(self._maker.size["shortest_edge"] ** 0.5)
        self.grid_side = self.side // self._maker.patch_size
        self.merged_side = self.grid_side // self._maker.merge_size
        self.coordinate_ids = torch.tensor(self._tokenizer.convert_tokens_to_ids(list(COORDINATES)))

    @property
    def image_id(self) -> int:
        """The token that stands for a piece of the image."""
        return self._image

    def pack(self, views: Sequence[View]) -> Packed:
        """One row for each view."""
        rows = [self._row(view) for view in views]
        longest = max(len(row.ids) for row in rows)

        def padded(name: str, filler: int) -> torch.Tensor:
            table = np.full((len(rows), longest), filler)
            for line, row in zip(table, rows, strict=True):
                values = getattr(row, name)
                line[: len(values)] = values
            return torch.from_numpy(table)

        branch = padded("branch", _PADDING)
        same = branch[:, None, :] == branch[:, :, None]
        mask = torch.ones(longest, longest, dtype=torch.bool).tril()
        positions = np.zeros((3, len(rows), longest), dtype=np.int64)
        for number, row in enumerate(rows):
            positions[:, number, : len(row.ids)] = row.positions
        pixels, grid = self._pixels(np.stack([view.pixels for view in views]))
        return Packed(
            padded("ids", self._tokenizer.pad_token_id),
            torch.from_numpy(positions),
            (mask & ((branch[:, None, :] == _PROMPT) | same))[:, None],
            padded("labels", IGNORED),
            branch,
            torch.tensor([row.last for row in rows]),
            pixels,
            grid,
        )

    def _row(self, view: View) -> _Row:
        prompts = [self._prompt(view.instruction, task) for task in _TASKS]
        shared = _common(*prompts)
        prompt = prompts[0][:shared]
        place = prompt.index(self._image)
        after = shared - place - self.merged_side**2
        start = place + self.merged_side + after
        rows, columns = np.divmod(np.arange(self.merged_side**2), self.merged_side)
        head, tail = np.arange(place), place + self.merged_side + np.arange(after)
        row = _Row(
            list(prompt),
            [_PROMPT] * shared,
            [IGNORED] * shared,
            np.stack(
                [
                    np.concatenate([head, np.full(len(rows), place), tail]),
                    np.concatenate([head, place + rows, tail]),
                    np.concatenate([head, place + columns, tail]),
                ]
            ),
            [],
        )
        for number, (task, asked) in enumerate(zip(_TASKS, prompts, strict=True), start=1):
            row.extend(number, asked[shared:], self._completion(view, task), start)
        return row

    def _prompt(self, instruction: str, task: Task) -> list[int]:
        question = self._interface.prompt.ask(instruction, task, self._frame)
        text = self._interface.processor.apply_chat_template(
            chat_messages(question), tokenize=False, add_generation_prompt=True
        )
        before, mark, behind = text.partition(IMAGE)
        assert mark  # noqa: S101 - the chat template writes the image's mark
        return self._tokens(before) + [self._image] * self.merged_side**2 + self._tokens(behind)

    def _completion(self, view: View, task: Task) -> list[int]:
        lesson = view.lesson
        if task is Task.AFFORDANCE:
            sample, target = lesson.box_sample, BoxTarget(view.box * _UNIT_PX)
        else:
            sample, target = lesson.trace_sample, TraceTarget(view.trace * _UNIT_PX)
        text = write_completion(target, self._frame, write_reasoning(sample))
        return [*self._tokenizer(text)["input_ids"], self._tokenizer.eos_token_id]

    def _tokens(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self._tokenizer(text)["input_ids"]
        return self._known[text]

    def _pixels(self, images: np.ndarray[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches in the processor's own order, without its per-image cost."""
        maker, side, merged = self._maker, self._maker.patch_size, self.merged_side
        mean, spread = (torch.tensor(values) for values in (maker.image_mean, maker.image_std))
        values = (torch.from_numpy(images).float() * maker.rescale_factor - mean) / spread
        count, merge = len(images), maker.merge_size
        cut = values.permute(0, 3, 1, 2).reshape(count, 3, merged, merge, side, merged, merge, side)
        patches = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count * self.grid_side**2, -1)
        return patches.contiguous(), torch.tensor([[1, self.grid_side, self.grid_side]] * count)


@dataclass(eq=False)
class _Row:
    ids: list[int]
    branch: list[int]
    labels: list[int]
    positions: np.ndarray[Any, Any]
    last: list[int]

    def extend(self, number: int, question: list[int], completion: list[int], start: int) -> None:
        tokens = question + completion
        self.last.append(len(self.ids) + len(question) - 1)
        self.ids += tokens
        self.branch += [number] * len(tokens)
        self.labels += [IGNORED] * len(question) + completion
        own = np.tile(start + np.arange(len(tokens)), (3, 1))
        self.positions = np.concatenate([self.positions, own], axis=1)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two prompts share from the start."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), len(first))
