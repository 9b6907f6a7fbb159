"""Equal images of a batch are preprocessed once, and pass through the vision tower once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_utils import make_flat_list_of_images

from maniplvm.models.parameters import vision_tower
from maniplvm.training.shared_prefix.support import has_vision_tower

_PROCESSOR_OUTPUTS = {"pixel_values", "image_grid_thw"}


class DeduplicatingImageProcessor:
    """Wraps an image processor and caches its output for each distinct image.

    The wrapped processor is called directly if an input is not a PIL image, or if its output has
    other keys than `pixel_values` and `image_grid_thw`.

    Args:
        image_processor: The image processor to wrap.
    """

    def __init__(self, image_processor: Any) -> None:
        self._inner = image_processor
        self._cache: dict[Any, tuple[Tensor, Tensor]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, images: Any, **options: Any) -> Any:
        """Output of the wrapped processor, as torch tensors."""
        flat: Any = make_flat_list_of_images(images)
        if not all(isinstance(image, Image.Image) for image in flat):
            return self._inner(images, **options)
        settings = repr(sorted((k, v) for k, v in options.items() if k != "return_tensors"))
        keys = [(settings, image.mode, image.size, image.tobytes()) for image in flat]
        missing = {
            key: image for key, image in zip(keys, flat, strict=True) if key not in self._cache
        }
        if missing:
            output = self._inner(list(missing.values()), **{**options, "return_tensors": "pt"})
            if set(output) != _PROCESSOR_OUTPUTS:
                return self._inner(images, **options)
            grid = output["image_grid_thw"]
            patches = output["pixel_values"].split(grid.prod(-1).tolist())
            self._cache.update(zip(missing, zip(patches, grid, strict=True), strict=True))
        cached = [self._cache[key] for key in keys]
        return BatchFeature(
            {
                "pixel_values": torch.cat([patches for patches, _ in cached]),
                "image_grid_thw": torch.stack([grid for _, grid in cached]),
            }
        )


@contextmanager
def deduplicate_preprocessing(processor: Any) -> Iterator[None]:
    """Context in which a processor resizes and normalises equal images once.

    Args:
        processor: A processor of transformers. Without an `image_processor` it is not changed.
    """
    inner = getattr(processor, "image_processor", None)
    if inner is None:
        yield
        return
    processor.image_processor = DeduplicatingImageProcessor(inner)
    try:
        yield
    finally:
        processor.image_processor = inner


@contextmanager
def deduplicate_vision_tower(base: Any) -> Iterator[None]:
    """Context in which the vision tower computes equal images once. Its output is unchanged.

    Args:
        base: A transformers model without wrapper. A model without vision tower is not changed.
    """
    if not has_vision_tower(base):
        yield
        return
    tower = vision_tower(base)
    pending: list[tuple[list[int], list[int]]] = []

    def select_distinct(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        pixels, grid = args[0], kwargs["grid_thw"]
        kept, inverse = distinct_images(pixels, grid)
        merged = (grid.prod(-1) // tower.spatial_merge_size**2)[kept].tolist()
        pending.append((inverse, merged))
        if len(kept) == len(inverse):
            return args, kwargs
        patches = pixels.split(grid.prod(-1).tolist())
        pixels = torch.cat([patches[index] for index in kept])
        return (pixels, *args[1:]), {**kwargs, "grid_thw": grid[kept]}

    def repeat_features(_: Any, args: Any, output: Any) -> Any:
        inverse, merged = pending.pop()
        if len(merged) == len(inverse):
            return output

        def repeat(features: Tensor) -> Tensor:
            parts = features.split(merged)
            return torch.cat([parts[index] for index in inverse])

        output.pooler_output = repeat(output.pooler_output)
        if getattr(output, "deepstack_features", None):
            output.deepstack_features = [repeat(each) for each in output.deepstack_features]
        return output

    handles = [
        tower.register_forward_pre_hook(select_distinct, with_kwargs=True),
        tower.register_forward_hook(repeat_features),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def distinct_images(pixel_values: Tensor, grid: Tensor) -> tuple[list[int], list[int]]:
    """Find the distinct images of a batch, by content and grid.

    Args:
        pixel_values: Patches of `I` images.
        grid: `(I, 3)` grids of the images.

    Returns:
        The indices of the distinct images, and for each image its index in that list.
    """
    patches = pixel_values.split(grid.prod(-1).tolist())
    shapes = [tuple(row) for row in grid.tolist()]
    sums = torch.stack([each.sum(dtype=torch.float64) for each in patches]).tolist()
    kept: list[int] = []
    candidates: dict[tuple[Any, float], list[int]] = {}
    inverse = []
    for index, key in enumerate(zip(shapes, sums, strict=True)):
        same_key = candidates.setdefault(key, [])
        match = next((k for k in same_key if torch.equal(patches[kept[k]], patches[index])), None)
        if match is None:
            match = len(kept)
            kept.append(index)
            same_key.append(match)
        inverse.append(match)
    return kept, inverse
