"""The vision tower runs once for every different image of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from maniplvm.models.parameters import vision_tower
from maniplvm.training.shared_prefix.support import has_tower


@contextmanager
def each_image_once(base: Any) -> Iterator[None]:
    """Inside, the vision tower computes equal images once; what it returns is unchanged.

    Args:
        base: A model of transformers without wrapper; one without a tower is left alone.
    """
    if not has_tower(base):
        yield
        return
    tower = vision_tower(base)
    pending: list[tuple[list[int], list[int]]] = []

    def shrink(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        pixels, grid = args[0], kwargs["grid_thw"]
        kept, inverse = distinct_images(pixels, grid)
        merged = (grid.prod(-1) // tower.spatial_merge_size**2)[kept].tolist()
        pending.append((inverse, merged))
        if len(kept) == len(inverse):
            return args, kwargs
        patches = pixels.split(grid.prod(-1).tolist())
        pixels = torch.cat([patches[number] for number in kept])
        return (pixels, *args[1:]), {**kwargs, "grid_thw": grid[kept]}

    def expand(_: Any, args: Any, output: Any) -> Any:
        inverse, merged = pending.pop()
        if len(merged) == len(inverse):
            return output

        def spread(features: Tensor) -> Tensor:
            parts = features.split(merged)
            return torch.cat([parts[number] for number in inverse])

        output.pooler_output = spread(output.pooler_output)
        if getattr(output, "deepstack_features", None):
            output.deepstack_features = [spread(each) for each in output.deepstack_features]
        return output

    handles = [
        tower.register_forward_pre_hook(shrink, with_kwargs=True),
        tower.register_forward_hook(expand),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def distinct_images(pixel_values: Tensor, grid: Tensor) -> tuple[list[int], list[int]]:
    """Which images differ from all before them.

    Args:
        pixel_values: Patches of `I` images.
        grid: `(I, 3)` their grids.

    Returns:
        The numbers of the distinct images, and for each image its place among them.
    """
    patches = pixel_values.split(grid.prod(-1).tolist())
    shapes = [tuple(row) for row in grid.tolist()]
    sums = torch.stack([each.sum(dtype=torch.float64) for each in patches]).tolist()
    kept: list[int] = []
    seen: dict[tuple[Any, float], list[int]] = {}
    inverse = []
    for number, key in enumerate(zip(shapes, sums, strict=True)):
        alike = seen.setdefault(key, [])
        twin = next((k for k in alike if torch.equal(patches[kept[k]], patches[number])), None)
        if twin is None:
            twin = len(kept)
            kept.append(number)
            alike.append(twin)
        inverse.append(twin)
    return kept, inverse
