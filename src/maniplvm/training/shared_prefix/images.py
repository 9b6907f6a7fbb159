"""The processor resizes and normalises equal images of a step once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_utils import make_flat_list_of_images

_MADE = {"pixel_values", "image_grid_thw"}


class DistinctImages:
    """An image processor that remembers what it made of each image.

    Args:
        image_processor: The one that does the work. If it makes more than patches and grids, or
            is given anything but PIL images, it answers directly.
    """

    def __init__(self, image_processor: Any) -> None:
        self._inner = image_processor
        self._known: dict[Any, tuple[Tensor, Tensor]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, images: Any, **options: Any) -> Any:
        """As the image processor's, in tensors of torch."""
        flat: Any = make_flat_list_of_images(images)
        if not all(isinstance(image, Image.Image) for image in flat):
            return self._inner(images, **options)
        settings = repr(sorted((k, v) for k, v in options.items() if k != "return_tensors"))
        keys = [(settings, image.mode, image.size, image.tobytes()) for image in flat]
        unseen = {
            key: image for key, image in zip(keys, flat, strict=True) if key not in self._known
        }
        if unseen:
            made = self._inner(list(unseen.values()), **{**options, "return_tensors": "pt"})
            if set(made) != _MADE:
                return self._inner(images, **options)
            grid = made["image_grid_thw"]
            patches = made["pixel_values"].split(grid.prod(-1).tolist())
            self._known.update(zip(unseen, zip(patches, grid, strict=True), strict=True))
        found = [self._known[key] for key in keys]
        return BatchFeature(
            {
                "pixel_values": torch.cat([patches for patches, _ in found]),
                "image_grid_thw": torch.stack([grid for _, grid in found]),
            }
        )


@contextmanager
def each_image_processed_once(processor: Any) -> Iterator[None]:
    """Inside, a processor with an image processor looks at equal images once."""
    inner = getattr(processor, "image_processor", None)
    if inner is None:
        yield
        return
    processor.image_processor = DistinctImages(inner)
    try:
        yield
    finally:
        processor.image_processor = inner
