"""Encode each distinct image once, however many prompts use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from maniplvm.models.interface import LoadedModel
from maniplvm.models.parameters import base_model
from maniplvm.models.prompt_encoding import (
    ImageTextPrompt,
    build_inputs,
    chat_messages,
    decode_image,
    encode_batch,
)
from maniplvm.optional import torch, transformers

MODEL_TYPES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
"""Architectures whose `generate` accepts image features that were computed before."""

BUDGET_BYTES = 1 << 30
"""Largest size of the cached features [bytes]; further images are encoded each time."""

_BLANK = Image.new("RGB", (1, 1))


@dataclass(frozen=True, eq=False)
class _Features:
    """Features of one image.

    Attributes:
        grid: `(3,)` numbers of patches in time, rows and columns.
        pooled: `(T, D)` embeddings that replace the image's `T` tokens.
        deepstack: `(T, D)` for each layer of the language model with visual features of its own.
    """

    grid: Any
    pooled: Any
    deepstack: tuple[Any, ...]

    @property
    def size(self) -> int:
        """The memory that they take [bytes]."""
        return sum(each.nbytes for each in (self.pooled, *self.deepstack))


class VisionFeatureCache:
    """Encodes prompts as `encode_batch` does, but processes each distinct image only once.

    Completions are the same, up to the rounding of sums over other batches of images. For a model
    whose type is not in `MODEL_TYPES`, `encode_batch` is used.

    Args:
        loaded: The model.
        budget: Largest size of the cached features [bytes].
    """

    def __init__(self, loaded: LoadedModel, budget: int = BUDGET_BYTES) -> None:
        self._loaded, self._budget = loaded, budget
        self._cached: dict[bytes, _Features] = {}
        self._used = 0
        self._output: type[Any] | None = None

    @property
    def is_supported(self) -> bool:
        """Whether the model accepts cached features."""
        return base_model(self._loaded.model).config.model_type in MODEL_TYPES

    def encode(self, prompts: Sequence[ImageTextPrompt], system: str | None = None) -> Any:
        """Encode prompts as a batch for `generate`, on the model's device.

        Args:
            prompts: `B` prompts, at least one.
            system: As in `chat_messages`.

        Returns:
            As `encode_batch`, with `mm_encoder_outputs` instead of `pixel_values`.

        Raises:
            ValueError: no prompts.
            UserError: an image that cannot be read; the message counts prompts from 0.
        """
        if not self.is_supported or not prompts:
            return encode_batch(self._loaded, prompts, system)
        found = self._features([prompt.image for prompt in prompts])
        chats = [chat_messages(prompt.text, system) for prompt in prompts]
        with _with_known_grids(self._loaded.processor, [each.grid for each in found]):
            inputs = build_inputs(self._loaded, chats, [_BLANK] * len(chats))
        inputs = inputs.to(self._loaded.device)
        inputs["mm_encoder_outputs"] = {"image": self._joined(found)}
        return inputs

    def _features(self, encoded: Sequence[bytes]) -> list[_Features]:
        """Features of encoded images; those that are not cached are computed in one batch."""
        places = {data: number for number, data in reversed(list(enumerate(encoded)))}
        unknown = sorted(number for data, number in places.items() if data not in self._cached)
        features = dict(self._cached)
        if unknown:
            images = [decode_image(encoded[number], number) for number in unknown]
            new = self._computed(images)
            features |= {encoded[number]: each for number, each in zip(unknown, new, strict=True)}
            size = sum(each.size for each in new)
            if self._used + size <= self._budget:
                self._cached, self._used = features, self._used + size
        return [features[data] for data in encoded]

    def _computed(self, images: Sequence[Image.Image]) -> list[_Features]:
        inputs = self._loaded.processor.image_processor(list(images), return_tensors="pt")
        grids = inputs["image_grid_thw"]
        backbone = base_model(self._loaded.model).base_model
        with torch().inference_mode():
            output = backbone.get_image_features(**inputs.to(self._loaded.device), return_dict=True)
        self._output = type(output)
        layers = getattr(output, "deepstack_features", None) or []
        return [
            _Features(grid, pooled, tuple(deepstack))
            for grid, pooled, *deepstack in zip(grids, output.pooler_output, *layers, strict=True)
        ]

    def _joined(self, found: Sequence[_Features]) -> Any:
        """Features of a batch's images as one output of the vision tower."""
        if self._output is None:
            raise ValueError("no image was encoded yet")
        output = self._output(pooler_output=tuple(each.pooled for each in found))
        if hasattr(output, "deepstack_features"):
            output.deepstack_features = [
                list(layer) for layer in zip(*(each.deepstack for each in found), strict=True)
            ]
        return output


class _KnownGrids:
    """Replaces an image processor: it returns known grids and processes no image."""

    def __init__(self, image_processor: Any, grids: Sequence[Any]) -> None:
        self._inner, self._grids = image_processor, grids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, images: Any, **_: Any) -> Any:
        return transformers().BatchFeature({"image_grid_thw": torch().stack(list(self._grids))})


@contextmanager
def _with_known_grids(processor: Any, grids: Sequence[Any]) -> Iterator[None]:
    """Within this context, the processor takes these grids for those of its images."""
    inner = processor.image_processor
    processor.image_processor = _KnownGrids(inner, grids)
    try:
        yield
    finally:
        processor.image_processor = inner
