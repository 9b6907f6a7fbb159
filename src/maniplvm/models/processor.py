"""A checkpoint's processor, with or without torchvision, and the image sizes that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import FrameSpec, SmartResize
from maniplvm.models.checkpoint import Checkpoint, first_line, read_json
from maniplvm.models.families import Family
from maniplvm.optional import transformers

_QWEN_RESIZERS = (
    "Qwen2VLImageProcessor",
    "Qwen2VLImageProcessorFast",
    "Qwen2VLImageProcessorPil",
)
"""Image processors of transformers that resize as `SmartResize` does. Others look alike (they have
a merge size and an area) but round differently."""

_VIDEO = "video_processor"
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
_VIDEO_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")


def load_processor(
    checkpoint: Checkpoint, min_pixels: int | None = None, max_pixels: int | None = None
) -> Any:
    """The real processor of a checkpoint, its tokenizer padding on the left.

    With torchvision it is the stock one. Without it, processors that also read videos cannot be
    built; then it is the same class without its video part, and what it saves can be loaded by
    the stock one.

    Args:
        checkpoint: Whose.
        min_pixels: Smallest area of an image that the model sees [px squared]; None keeps the
            checkpoint's.
        max_pixels: Largest area [px squared]; below the checkpoint's smallest it lowers that too.

    Raises:
        UserError: files of the processor missing or damaged, no chat template, or limits of the
            area that cannot be met.
    """
    try:
        processor = _processor_class(checkpoint).from_pretrained(
            checkpoint.folder, trust_remote_code=checkpoint.trust_remote_code
        )
    except (OSError, ValueError, TypeError, KeyError, ImportError, RuntimeError) as error:
        raise UserError(
            f"{checkpoint.name}: its processor cannot be loaded ({first_line(error)})"
        ) from error
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise UserError(f"{checkpoint.name}: no processor for images and text in the folder")
    if processor.chat_template is None:
        raise UserError(f"{checkpoint.name}: the processor has no chat template")
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    _limit_area(processor.image_processor, min_pixels, max_pixels, checkpoint.name)
    return processor


def has_processor(folder: Path) -> bool:
    """Whether a folder, such as a trained adapter's, holds a processor of its own."""
    return any((folder / name).is_file() for name in _PROCESSOR_FILES)


def smart_resize_of(image_processor: Any) -> SmartResize | None:
    """The resize that an image processor really does; None if it is not the Qwen-VL one.

    Args:
        image_processor: Of a loaded processor; its own settings are read, never a default.
    """
    if type(image_processor).__name__ not in _QWEN_RESIZERS or not image_processor.do_resize:
        return None
    return SmartResize(
        factor=image_processor.patch_size * image_processor.merge_size,
        min_pixels=int(image_processor.size["shortest_edge"]),
        max_pixels=int(image_processor.size["longest_edge"]),
    )


def count_image_tokens(processor: Any, image_size: tuple[int, int]) -> int:
    """How many tokens of the prompt one image takes.

    Args:
        processor: A loaded one.
        image_size: `(width, height)` [px] of the original.
    """
    maker = processor.image_processor
    if type(maker).__name__ not in _QWEN_RESIZERS:
        counted = processor._get_num_multimodal_tokens(image_sizes=[image_size[::-1]])
        return int(counted.num_image_tokens[0])
    resize = smart_resize_of(maker)
    width, height = image_size if resize is None else resize.size(image_size)
    factor = maker.patch_size * maker.merge_size
    return (width // factor) * (height // factor)


def frame_spec(family: Family, image_processor: Any, where: str) -> FrameSpec:
    """A family's frame with the image sizes of one checkpoint's own processor.

    Raises:
        UserError: the family speaks pixels of the resized image, but this processor does not
            resize as the Qwen-VL ones do.
    """
    resize = smart_resize_of(image_processor)
    in_seen_pixels = family.frame.resize is not None
    if in_seen_pixels and resize is None:
        raise UserError(
            f"{where}: family {family.name} answers in pixels of the resized image, but "
            f"{type(image_processor).__name__} does not resize as its processor does; "
            "choose another family"
        )
    in_original_pixels = family.frame.span is None and not in_seen_pixels
    return family.frame if in_original_pixels else replace(family.frame, resize=resize)


def _limit_area(
    image_processor: Any, min_pixels: int | None, max_pixels: int | None, where: str
) -> None:
    if min_pixels is None and max_pixels is None:
        return
    resize = smart_resize_of(image_processor)
    if resize is None:
        raise UserError(
            f"{where}: {type(image_processor).__name__} has no min_pixels and max_pixels"
        )
    largest = resize.max_pixels if max_pixels is None else max_pixels
    smallest = min(resize.min_pixels, largest) if min_pixels is None else min_pixels
    if largest < resize.factor**2:
        raise UserError(
            f"{where}: max_pixels is {largest}, but one image token alone covers "
            f"{resize.factor} x {resize.factor} = {resize.factor**2} pixels"
        )
    if not 0 < smallest <= largest:
        raise UserError(
            f"{where}: min_pixels must lie between 1 and max_pixels; got {smallest} and {largest}"
        )
    sizes = type(image_processor.size)  # a dict or transformers' own class, depending on version
    image_processor.size = sizes(shortest_edge=smallest, longest_edge=largest)


def _processor_class(checkpoint: Checkpoint) -> Any:
    library = transformers()
    stock = _stock_class(checkpoint)
    reads_videos = stock is not None and _VIDEO in stock.get_attributes()
    if reads_videos and not library.utils.is_torchvision_available():
        return _without_video(stock, _video_settings(checkpoint.folder))
    return library.AutoProcessor


def _stock_class(checkpoint: Checkpoint) -> Any:
    """The processor class that the checkpoint names, or else its architecture's; None if neither."""
    library = transformers()
    for name in _PROCESSOR_FILES:
        if (checkpoint.folder / name).is_file():
            named = read_json(checkpoint.folder / name).get("processor_class")
            if named is not None:
                return getattr(library, named, None)
    return library.PROCESSOR_MAPPING.get(type(checkpoint.config), None)


def _without_video(stock: Any, video_settings: Mapping[str, Any]) -> Any:
    """A processor class that never builds its video part, and still saves its settings.

    Args:
        stock: A `ProcessorMixin` of transformers with a `video_processor`.
        video_settings: What to write for the video part, so that the stock class can load it.
    """

    def get_attributes(cls: Any) -> list[str]:
        return [name for name in stock.get_attributes() if name != _VIDEO]

    def to_dict(self: Any) -> dict[str, Any]:
        return {**stock.to_dict(self), _VIDEO: dict(video_settings)}

    def reduce(self: Any) -> Any:  # pickle cannot find a class that is no module's attribute
        return _rebuilt, (stock, video_settings, self.__dict__)

    members = {
        "__module__": stock.__module__,
        "__reduce__": reduce,
        "get_attributes": classmethod(get_attributes),
        "to_dict": to_dict,
    }
    return type(stock.__name__, (stock,), members)


def _rebuilt(stock: Any, video_settings: Mapping[str, Any], state: dict[str, Any]) -> Any:
    kind = _without_video(stock, video_settings)
    processor = kind.__new__(kind)
    processor.__dict__.update(state)
    return processor


def _video_settings(folder: Path) -> dict[str, Any]:
    unified = folder / _PROCESSOR_FILES[0]
    if unified.is_file() and _VIDEO in (content := read_json(unified)):
        return content[_VIDEO]
    for name in _VIDEO_FILES:
        if (folder / name).is_file():
            return read_json(folder / name)
    return {}
