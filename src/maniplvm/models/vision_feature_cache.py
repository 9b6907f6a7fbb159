"""The vision tower runs once for every different image, however many questions ask about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from maniplvm.models.inputs import (
    Question,
    build_inputs,
    chat_messages,
    decode_image,
    encode_batch,
)
from maniplvm.models.loading import LoadedModel
from maniplvm.models.parameters import base_model
from maniplvm.optional import torch, transformers

MODEL_TYPES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
"""Architectures whose `generate` takes image features that were computed before."""

BUDGET_BYTES = 1 << 30
"""Features that are kept at most; images beyond it are encoded again where they come back."""

_BLANK = Image.new("RGB", (1, 1))


@dataclass(frozen=True, eq=False)
class _Features:
    """What the vision tower made of one image.

    Attributes:
        grid: `(3,)` patches in time, rows and columns.
        pooled: `(T, D)` what stands in the place of its `T` image tokens.
        deepstack: `(T, D)` for each layer of the language model that gets features of its own.
    """

    grid: Any
    pooled: Any
    deepstack: tuple[Any, ...]

    @property
    def size(self) -> int:
        """How much memory they take [bytes]."""
        return sum(each.nbytes for each in (self.pooled, *self.deepstack))


class VisionFeatureCache:
    """Encodes questions as `encode_batch` does, but decodes, resizes and encodes no image twice.

    The replies are the same, but for the rounding of sums over other batches of images. A model
    whose type is not in `MODEL_TYPES` is asked in the plain way.

    Args:
        loaded: The model.
        budget: Features that are kept at most [bytes].
    """

    def __init__(self, loaded: LoadedModel, budget: int = BUDGET_BYTES) -> None:
        self._loaded, self._budget = loaded, budget
        self._kept: dict[bytes, _Features] = {}
        self._used = 0
        self._output: type[Any] | None = None

    @property
    def helps(self) -> bool:
        """Whether the model's features can be kept."""
        return base_model(self._loaded.model).config.model_type in MODEL_TYPES

    def encode(self, questions: Sequence[Question], system: str | None = None) -> Any:
        """Questions as a batch that `generate` takes, on the model's device.

        Args:
            questions: `B` of them, at least one.
            system: As in `chat_messages`.

        Returns:
            As `encode_batch`, with `mm_encoder_outputs` in the place of `pixel_values`.

        Raises:
            ValueError: no question.
            UserError: an image that cannot be read; the error counts questions from 0.
        """
        if not self.helps or not questions:
            return encode_batch(self._loaded, questions, system)
        found = self._features([question.image for question in questions])
        chats = [chat_messages(question.prompt, system) for question in questions]
        with _grids_known(self._loaded.processor, [each.grid for each in found]):
            inputs = build_inputs(self._loaded, chats, [_BLANK] * len(chats))
        inputs = inputs.to(self._loaded.device)
        inputs["mm_encoder_outputs"] = {"image": self._joined(found)}
        return inputs

    def _features(self, pictures: Sequence[bytes]) -> list[_Features]:
        """What the tower makes of images; those that are not known go through it together."""
        places = {data: number for number, data in reversed(list(enumerate(pictures)))}
        unknown = sorted(number for data, number in places.items() if data not in self._kept)
        made = dict(self._kept)
        if unknown:
            images = [decode_image(pictures[number], number) for number in unknown]
            new = self._encoded(images)
            made |= {pictures[number]: each for number, each in zip(unknown, new, strict=True)}
            size = sum(each.size for each in new)
            if self._used + size <= self._budget:
                self._kept, self._used = made, self._used + size
        return [made[data] for data in pictures]

    def _encoded(self, images: Sequence[Image.Image]) -> list[_Features]:
        seen = self._loaded.processor.image_processor(list(images), return_tensors="pt")
        grids = seen["image_grid_thw"]
        backbone = base_model(self._loaded.model).base_model
        with torch().inference_mode():
            output = backbone.get_image_features(**seen.to(self._loaded.device), return_dict=True)
        self._output = type(output)
        layers = getattr(output, "deepstack_features", None) or []
        return [
            _Features(grid, pooled, tuple(deepstack))
            for grid, pooled, *deepstack in zip(grids, output.pooler_output, *layers, strict=True)
        ]

    def _joined(self, found: Sequence[_Features]) -> Any:
        """Features of a batch's images in the form in which the tower gives them."""
        if self._output is None:
            raise ValueError("no image was encoded yet")
        output = self._output(pooler_output=tuple(each.pooled for each in found))
        if hasattr(output, "deepstack_features"):
            output.deepstack_features = [
                list(layer) for layer in zip(*(each.deepstack for each in found), strict=True)
            ]
        return output


class _KnownGrids:
    """Stands for an image processor whose work is done: it only tells how large images are."""

    def __init__(self, image_processor: Any, grids: Sequence[Any]) -> None:
        self._inner, self._grids = image_processor, grids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, images: Any, **_: Any) -> Any:
        return transformers().BatchFeature({"image_grid_thw": torch().stack(list(self._grids))})


@contextmanager
def _grids_known(processor: Any, grids: Sequence[Any]) -> Iterator[None]:
    """Inside, the processor lays out text around images of these grids, whatever they show."""
    inner = processor.image_processor
    processor.image_processor = _KnownGrids(inner, grids)
    try:
        yield
    finally:
        processor.image_processor = inner
