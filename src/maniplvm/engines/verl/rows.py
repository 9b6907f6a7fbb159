"""The prompts of a recipe as rows of verl's data files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.engines.ground_truth import write_ground_truth
from maniplvm.engines.recipes.data import IMAGE, image_of, require_equal_resize
from maniplvm.engines.recipes.files import write_parquet
from maniplvm.engines.verl.reward import DATA_SOURCE
from maniplvm.errors import UserError
from maniplvm.geometry import Frame, SmartResize
from maniplvm.models import ModelInterface
from maniplvm.models.processor import smart_resize_of
from maniplvm.optional import arrow
from maniplvm.tasks import PromptStyle, Sample

_PLACEHOLDERS = re.compile("<image>|<video>|<audio>")
_MERGE = 2
"""Patches that verl's resize (qwen_vl_utils) assumes along a side of an image token."""


@dataclass(frozen=True)
class RowBuilder:
    """Builds rows for one model.

    verl resizes an image before the processor does, with limits that it reads from the row. The
    limits here are those of the recipe's processor, so the second resize changes nothing.

    Attributes:
        interface: Processor and coordinate frame of the model, with the recipe's image limits.
        prompts: The prompt templates.
        resize: The resize of the recipe's processor.
        stored: The resize of the checkpoint's processor as stored, which verl loads.
    """

    interface: ModelInterface
    prompts: PromptStyle
    resize: SmartResize
    stored: SmartResize

    @classmethod
    def of_model(
        cls, interface: ModelInterface, prompts: PromptStyle, stored: ModelInterface
    ) -> RowBuilder:
        """The builder for a model.

        Args:
            interface: The model's interface with the recipe's image limits.
            prompts: The prompt templates.
            stored: The interface of the same checkpoint without them.

        Raises:
            UserError: verl cannot resize images as the model's processor does.
        """
        processor = interface.processor.image_processor
        resize = smart_resize_of(processor)
        own = smart_resize_of(stored.processor.image_processor)
        if resize is None or own is None or processor.merge_size != _MERGE:
            raise UserError(
                f"{interface.source}: verl resizes every image as the processors of Qwen-VL do, "
                f"but {type(processor).__name__} does not; choose a Qwen-VL model"
            )
        return cls(interface, prompts, resize, own)

    def row(self, sample: Sample, split: str, index: int) -> dict[str, Any]:
        """The row of a sample in the format of `verl.utils.dataset.RLHFDataset`.

        Args:
            sample: The sample with its image, which is stored as it is.
            split: `train` or `val`.
            index: The position of the row.

        Raises:
            UserError: the sample has no image, its size is refused, or its prompt holds a
                placeholder of verl.
        """
        image = image_of(sample)
        prompt = self.prompts.format(sample.instruction, sample.task, self._frame(sample))
        if (found := _PLACEHOLDERS.search(prompt)) is not None:
            raise UserError(
                f"sample {sample.id!r}: its prompt holds {found[0]}, which verl would replace; "
                "change the instruction or the template"
            )
        return {
            "data_source": f"{DATA_SOURCE}{sample.task}",
            "prompt": [{"role": "user", "content": IMAGE + prompt}],
            "images": [
                {
                    "bytes": image,
                    "path": None,
                    "min_pixels": self.resize.min_pixels,
                    "max_pixels": self.resize.max_pixels,
                }
            ],
            "ability": str(sample.task),
            "reward_model": {
                "style": "rule",
                "ground_truth": write_ground_truth(sample, self.interface.frame_spec),
            },
            "extra_info": {"split": split, "index": index, "id": sample.id},
        }

    def _frame(self, sample: Sample) -> Frame:
        try:
            frame = self.interface.frame_for(sample.image_size)
            seen = self.resize.size(sample.image_size)
            again = self.stored.size(seen)
        except ValueError as error:
            raise UserError(f"sample {sample.id!r}: the model refuses its size: {error}") from error
        require_equal_resize(sample, self.resize, "verl")
        if again != seen:
            raise UserError(
                f"sample {sample.id!r}: with the recipe's model.min_pixels and model.max_pixels its "
                f"image has {seen[0]}x{seen[1]} pixels, which the stored processor would resize "
                f"again; keep the limits between {self.stored.min_pixels} and "
                f"{self.stored.max_pixels}"
            )
        return frame


def write_rows(path: Path, rows: Iterable[dict[str, Any]], advance: Callable[[int], None]) -> None:
    """Write rows to a parquet file, with few of them in memory at a time.

    Args:
        path: The new file.
        rows: The rows, one or more.
        advance: Gets the number of rows that were written since its last call.
    """
    write_parquet(path, _schema(), rows, advance)


def stored_rows(
    builder: RowBuilder, samples: Iterable[Sample], split: str
) -> Iterator[dict[str, Any]]:
    """The rows of samples in their order."""
    for index, sample in enumerate(samples):
        yield builder.row(sample, split, index)


def _schema() -> Any:
    pa = arrow()
    text, whole = pa.string(), pa.int64()
    image = pa.struct(
        [("bytes", pa.binary()), ("path", text), ("min_pixels", whole), ("max_pixels", whole)]
    )
    return pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct([("role", text), ("content", text)])),
            "images": pa.list_(image),
            "ability": text,
            "reward_model": pa.struct([("style", text), ("ground_truth", text)]),
            "extra_info": pa.struct([("split", text), ("index", whole), ("id", text)]),
        }
    )
