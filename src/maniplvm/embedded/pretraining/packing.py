"""Pack both tasks of an image into one row: a shared prefix, then two independent segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maniplvm.embedded import COORDINATES
from maniplvm.embedded.pretraining.dataset import AugmentedExample
from maniplvm.models import ModelInterface, chat_messages
from maniplvm.models.tiny.tokenizer import IMAGE
from maniplvm.tasks import BoxTarget, Task, TraceTarget, write_completion, write_reasoning

_UNIT_PX = 1000.0
"""Side of the image on which targets are written [px]; the frame is relative, so any works."""
IGNORED = -100
_PREFIX, _PADDING = 0, 3
_TASKS = (Task.AFFORDANCE, Task.TRAJECTORY)


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """A packed batch, ready for the model.

    Attributes:
        input_ids: `(B, T)` tokens.
        position_ids: `(3, B, T)` M-RoPE positions; those of each segment restart after the prefix.
        attention_mask: `(B, 1, T, T)` bool, True where a token attends to another.
        labels: `(B, T)` tokens of completions, `IGNORED` elsewhere.
        segment_ids: `(B, T)`, 0 for the prefix, 1 for the box, 2 for the trace, 3 for padding.
        prompt_ends: `(B, 2)` places of the last prompt token of each segment.
        pixel_values: `(B * patches, values)` normalised patches.
        image_grid_thw: `(B, 3)` numbers of patches in time, rows and columns.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    segment_ids: torch.Tensor
    prompt_ends: torch.Tensor
    pixel_values: torch.Tensor
    image_grid_thw: torch.Tensor


class Packer:
    """Packs augmented examples into rows, with the same tokens as the processor makes of a chat.

    Args:
        interface: Interface of the model that is trained.
    """

    def __init__(self, interface: ModelInterface) -> None:
        self._tokenizer = interface.tokenizer
        self._image_processor = interface.processor.image_processor
        self._interface = interface
        self._image = self._tokenizer.convert_tokens_to_ids(IMAGE)
        self._frame = interface.frame_spec.bind((int(_UNIT_PX), int(_UNIT_PX)))
        self._known: dict[str, list[int]] = {}
        self.side = int(self._image_processor.size["shortest_edge"] ** 0.5)
        self.grid_side = self.side // self._image_processor.patch_size
        self.merged_side = self.grid_side // self._image_processor.merge_size
        self.coordinate_ids = torch.tensor(self._tokenizer.convert_tokens_to_ids(list(COORDINATES)))

    @property
    def image_id(self) -> int:
        """The id of the image token."""
        return self._image

    def pack(self, examples: Sequence[AugmentedExample]) -> PackedBatch:
        """Pack augmented examples, one row for each."""
        rows = [self._row(example) for example in examples]
        longest = max(len(row.input_ids) for row in rows)

        def padded(name: str, filler: int) -> torch.Tensor:
            table = np.full((len(rows), longest), filler)
            for line, row in zip(table, rows, strict=True):
                values = getattr(row, name)
                line[: len(values)] = values
            return torch.from_numpy(table)

        segment_ids = padded("segment_ids", _PADDING)
        same = segment_ids[:, None, :] == segment_ids[:, :, None]
        mask = torch.ones(longest, longest, dtype=torch.bool).tril()
        positions = np.zeros((3, len(rows), longest), dtype=np.int64)
        for number, row in enumerate(rows):
            positions[:, number, : len(row.input_ids)] = row.positions
        pixels, grid = self._pixels(np.stack([example.pixels for example in examples]))
        return PackedBatch(
            padded("input_ids", self._tokenizer.pad_token_id),
            torch.from_numpy(positions),
            (mask & ((segment_ids[:, None, :] == _PREFIX) | same))[:, None],
            padded("labels", IGNORED),
            segment_ids,
            torch.tensor([row.prompt_ends for row in rows]),
            pixels,
            grid,
        )

    def _row(self, example: AugmentedExample) -> _Row:
        prompts = [self._prompt(example.instruction, task) for task in _TASKS]
        shared = _common_prefix(*prompts)
        prompt = prompts[0][:shared]
        place = prompt.index(self._image)
        after = shared - place - self.merged_side**2
        start = place + self.merged_side + after
        rows, columns = np.divmod(np.arange(self.merged_side**2), self.merged_side)
        head, tail = np.arange(place), place + self.merged_side + np.arange(after)
        row = _Row(
            list(prompt),
            [_PREFIX] * shared,
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
        for number, (task, prompt_ids) in enumerate(zip(_TASKS, prompts, strict=True), start=1):
            row.extend(number, prompt_ids[shared:], self._completion(example, task), start)
        return row

    def _prompt(self, instruction: str, task: Task) -> list[int]:
        prompt = self._interface.prompt.format(instruction, task, self._frame)
        text = self._interface.processor.apply_chat_template(
            chat_messages(prompt), tokenize=False, add_generation_prompt=True
        )
        before, token, behind = text.partition(IMAGE)
        assert token  # noqa: S101 - the chat template writes the image's mark
        return self._tokens(before) + [self._image] * self.merged_side**2 + self._tokens(behind)

    def _completion(self, augmented: AugmentedExample, task: Task) -> list[int]:
        example = augmented.example
        if task is Task.AFFORDANCE:
            sample, target = example.box_sample, BoxTarget(augmented.box * _UNIT_PX)
        else:
            sample, target = example.trace_sample, TraceTarget(augmented.trace * _UNIT_PX)
        text = write_completion(target, self._frame, write_reasoning(sample))
        return [*self._tokenizer(text)["input_ids"], self._tokenizer.eos_token_id]

    def _tokens(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self._tokenizer(text)["input_ids"]
        return self._known[text]

    def _pixels(self, images: np.ndarray[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches in the order of the processor, for all images at once."""
        image_processor, side, merged = (
            self._image_processor,
            self._image_processor.patch_size,
            self.merged_side,
        )
        mean, deviation = (
            torch.tensor(values)
            for values in (image_processor.image_mean, image_processor.image_std)
        )
        values = (
            torch.from_numpy(images).float() * image_processor.rescale_factor - mean
        ) / deviation
        count, merge = len(images), image_processor.merge_size
        cut = values.permute(0, 3, 1, 2).reshape(count, 3, merged, merge, side, merged, merge, side)
        patches = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count * self.grid_side**2, -1)
        return patches.contiguous(), torch.tensor([[1, self.grid_side, self.grid_side]] * count)


@dataclass(eq=False)
class _Row:
    input_ids: list[int]
    segment_ids: list[int]
    labels: list[int]
    positions: np.ndarray[Any, Any]
    prompt_ends: list[int]

    def extend(self, number: int, prompt: list[int], completion: list[int], start: int) -> None:
        tokens = prompt + completion
        self.prompt_ends.append(len(self.input_ids) + len(prompt) - 1)
        self.input_ids += tokens
        self.segment_ids += [number] * len(tokens)
        self.labels += [IGNORED] * len(prompt) + completion
        own = np.tile(start + np.arange(len(tokens)), (3, 1))
        self.positions = np.concatenate([self.positions, own], axis=1)


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common prefix of two prompts [tokens]."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), len(first))
