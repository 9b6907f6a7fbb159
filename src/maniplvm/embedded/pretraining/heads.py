"""Auxiliary heads that supervise the vision tower and a middle layer during pretraining.

They are no part of the checkpoint. Without them, IoU at equal training time is about half. Their
targets come from the box, the trace and the name of the part; no further annotation is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from maniplvm.embedded.pretraining.dataset import AugmentedExample, VisibleTargets
from maniplvm.geometry import resample

TRACE_POINTS = 8
_INNER = 128
_REACH = 0.35
"""Largest distance from the box at which an image token counts as inside [image tokens]."""
_BACKGROUND_WEIGHT, _PART_WEIGHT = 0.4, 1.5
_PATCH_SCALE, _BOX_SCALE = 0.5, 5.0


class AuxiliaryHeads(nn.Module):
    """All auxiliary heads of one model.

    Args:
        model: A `Qwen3VLForConditionalGeneration`; hooks on it record the inputs of the heads.
        parts: Names of all parts, which are the classes of a patch besides the background.
        grid_side: Number of patches on a side.
        merged_side: Number of image tokens on a side.
    """

    def __init__(self, model: Any, parts: Sequence[str], grid_side: int, merged_side: int) -> None:
        super().__init__()
        vision = model.config.vision_config.hidden_size
        width, depth = model.config.text_config.hidden_size, len(model.model.language_model.layers)
        self._class_of = {part: number for number, part in enumerate(parts, start=1)}
        self._grid_side, self._merged_side = grid_side, merged_side
        self.patch = _head(vision, len(parts) + 1)
        self.ends = _head(vision, 2)
        self.token = _head(width, 5)
        self.box = _head(width, 4)
        self.trace = _head(width, 2 * TRACE_POINTS)
        weights = [_BACKGROUND_WEIGHT, *[_PART_WEIGHT] * len(parts)]
        self._class_weights = torch.tensor(weights)
        self._recorded: dict[str, torch.Tensor] = {}
        model.model.visual.register_forward_hook(self._record("patches", "last_hidden_state"))
        middle = model.model.language_model.layers[depth // 2 - 1]
        middle.register_forward_hook(self._record("tokens", None))

    def losses(
        self,
        examples: Sequence[AugmentedExample],
        image_tokens: torch.Tensor,
        prompts: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Losses of the batch of the model's last forward pass.

        Args:
            examples: Examples of the batch.
            image_tokens: `(B, T)` bool, True at image tokens.
            prompts: `(B, 2, width)` last hidden states at the ends of the two prompts.
        """
        boxes, traces = _targets(examples)
        visible_boxes, visible_traces = _targets([example.visible for example in examples])
        return {
            **self._patch_losses(examples, visible_boxes, visible_traces),
            **self._token_losses(visible_boxes, image_tokens),
            "prompt_box": _coordinate_loss(self.box(prompts[:, 0]), boxes),
            "prompt_trace": _coordinate_loss(self.trace(prompts[:, 1]), traces.flatten(1)),
        }

    def _patch_losses(
        self, examples: Sequence[AugmentedExample], boxes: torch.Tensor, traces: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        patches, merge = self._recorded["patches"], self._grid_side // self._merged_side
        numbers = torch.tensor([self._class_of[example.visible.part] for example in examples])
        inside = _covered(boxes, self._grid_side, 0.5)
        classes = _merged_order(inside * numbers[:, None, None], merge)
        ends = torch.stack([_nearest(traces[:, end], self._grid_side) for end in (0, -1)])
        order = _merged_order(torch.arange(self._grid_side**2).view(1, self._grid_side, -1), merge)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        scores = self.ends(patches).float().view(len(examples), -1, 2).permute(2, 0, 1)
        return {
            "patch_part": _PATCH_SCALE
            * functional.cross_entropy(
                self.patch(patches).float(), classes, weight=self._class_weights
            ),
            "patch_ends": _PATCH_SCALE
            * functional.cross_entropy(scores.flatten(0, 1), place[ends].flatten()),
        }

    def _token_losses(
        self, boxes: torch.Tensor, image_tokens: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        predicted = (
            self.token(self._recorded["tokens"][image_tokens]).float().view(len(boxes), -1, 5)
        )
        inside = _covered(boxes, self._merged_side, _REACH).flatten(1).float()
        error = (predicted[..., 1:].sigmoid() - boxes[:, None]).abs().mean(-1)
        return {
            "token_inside": functional.binary_cross_entropy_with_logits(predicted[..., 0], inside),
            "token_box": _BOX_SCALE * (error * inside).sum() / inside.sum().clamp(min=1),
        }

    def _record(self, name: str, attribute: str | None) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            value = output if torch.is_tensor(output) else getattr(output, attribute or "", None)
            self._recorded[name] = output[0] if value is None else value

        return hook


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, _INNER), nn.GELU(), nn.Linear(_INNER, outputs)
    )


def _targets(
    targets: Sequence[AugmentedExample | VisibleTargets],
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, 4)` boxes and `(B, TRACE_POINTS, 2)` traces."""
    boxes = np.stack([each.box for each in targets])
    traces = np.stack([resample(each.trace, TRACE_POINTS) for each in targets])
    return torch.tensor(boxes).float(), torch.tensor(traces).float()


def _coordinate_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return _BOX_SCALE * (predicted.float().sigmoid() - target).abs().mean()


def _covered(boxes: torch.Tensor, side: int, reach: float) -> torch.Tensor:
    """`(B, side, side)` bool, True where a cell's centre is in the box, widened by `reach` cells."""
    centre = (torch.arange(side) + 0.5) / side
    near = reach / side
    columns = (centre > boxes[:, :1] - near) & (centre < boxes[:, 2:3] + near)
    rows = (centre > boxes[:, 1:2] - near) & (centre < boxes[:, 3:4] + near)
    return rows[:, :, None] & columns[:, None, :]


def _nearest(points: torch.Tensor, side: int) -> torch.Tensor:
    """`(B,)` numbers of the cells of points, counted row by row."""
    cells = (points * side).long().clamp(0, side - 1)
    return cells[:, 1] * side + cells[:, 0]


def _merged_order(grid: torch.Tensor, merge: int) -> torch.Tensor:
    """A `(B, side, side)` grid in the order of the vision tower: merged cells are adjacent."""
    count, side = grid.shape[0], grid.shape[-1]
    cells = grid.reshape(count, side // merge, merge, side // merge, merge)
    return cells.permute(0, 1, 3, 2, 4).reshape(-1)
