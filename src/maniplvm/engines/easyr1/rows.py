"""The prompts of a recipe as rows of EasyR1's data files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.engines.recipes.data import RecipeData, image_of
from maniplvm.errors import UserError
from maniplvm.geometry import SmartResize
from maniplvm.geometry.frames import Size
from maniplvm.models import load_interface
from maniplvm.models.processor import smart_resize_of
from maniplvm.optional import arrow
from maniplvm.tasks import Sample

PLACEHOLDERS = re.compile("<image>|<video>")
"""Strings at which EasyR1 splits a prompt."""


@dataclass(frozen=True)
class ImageStore:
    """Images for EasyR1, which resizes with the processor of the checkpoint as stored.

    A recipe's `model.min_pixels` and `model.max_pixels` can ask for another size. Such an image is
    stored with that size, and the processor then keeps it. All others are stored as they are.

    Attributes:
        resize: The resize of the recipe's processor.
        stored: The resize of the checkpoint's processor as stored.
        resample: The filter of the processor, a value of `PIL.Image.Resampling`.
    """

    resize: SmartResize
    stored: SmartResize
    resample: int

    @classmethod
    def of(cls, data: RecipeData) -> ImageStore:
        """The store for the model of a recipe."""
        model = data.recipe.model
        arguments = {**model.interface_arguments(), "min_pixels": None, "max_pixels": None}
        processor = load_interface(model.source, **arguments).processor.image_processor
        stored = smart_resize_of(processor) or data.resize
        return cls(data.resize, stored, int(processor.resample))

    def size(self, sample: Sample) -> Size:
        """The size in which the image of a sample is stored [px].

        Raises:
            UserError: the stored processor would change the size that the recipe asks for.
        """
        seen = self.resize.size(sample.image_size)
        if self.stored.size(sample.image_size) == seen:
            return sample.image_size
        if self.stored.size(seen) != seen:
            raise UserError(
                f"sample {sample.id!r}: with the recipe's model.min_pixels and model.max_pixels its "
                f"image has {seen[0]}x{seen[1]} pixels, which the stored processor would resize "
                f"again; keep the limits between {self.stored.min_pixels} and "
                f"{self.stored.max_pixels}"
            )
        return seen

    def encode(self, sample: Sample) -> bytes:
        """The image of a sample in the size of `size`."""
        image, size = image_of(sample), self.size(sample)
        if size == sample.image_size:
            return image
        try:
            pixels = decode(image, f"the image of sample {sample.id!r}")
        except RecordError as error:
            raise UserError(f"{error.code}: {error.detail}") from error
        buffer = io.BytesIO()
        pixels.resize(size, Image.Resampling(self.resample)).save(buffer, "PNG")
        return buffer.getvalue()


def rows(
    data: RecipeData, store: ImageStore, samples: Iterable[Sample]
) -> Iterator[dict[str, Any]]:
    """The rows of samples in their order, in the format of EasyR1's `RLHFDataset`.

    Raises:
        UserError: the model refuses the size of an image, or a prompt holds a placeholder.
    """
    for sample in samples:
        yield {
            "prompt": data.prompt(sample),
            "images": [{"bytes": store.encode(sample), "path": None}],
            "answer": data.ground_truth(sample),
            "sample_id": sample.id,
        }


def largest_area(data: RecipeData, store: ImageStore) -> int:
    """Area of the largest stored image [px squared].

    EasyR1 scales images above `data.max_pixels` before the processor resizes them. This value as
    `data.max_pixels`, and 1 as `data.min_pixels`, make that step do nothing.
    """
    areas = []
    for sample in data.samples:
        data.prompt(sample)  # refuses a sample before anything is written
        width, height = store.size(sample)
        areas.append(width * height)
    return max(areas)


def schema() -> Any:
    """The `pyarrow.Schema` of the rows."""
    pa = arrow()
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.schema(
        {
            "prompt": pa.string(),
            "images": pa.list_(image),
            "answer": pa.string(),
            "sample_id": pa.string(),
        }
    )
