"""Load a checkpoint's processor, with or without torchvision, and read its image sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maniplvm.errors import UserError
from maniplvm.geometry import FrameSpec, SmartResize
from maniplvm.models.checkpoint import Checkpoint
from maniplvm.models.families import Family
from maniplvm.models.untrusted import check_chat_template, library_errors, read_json
from maniplvm.optional import transformers

_QWEN_RESIZERS = (
    "Qwen2VLImageProcessor",
    "Qwen2VLImageProcessorFast",
    "Qwen2VLImageProcessorPil",
)
"""Image processors of transformers that resize as `SmartResize` does. Others have the same settings
(a merge size and an area) but round differently."""

_LARGEST_PATCH = 256
"""Largest patch or group of patches [px]."""

_LARGEST_RESIZED_AREA = 2**24
"""Largest area to which every image may be enlarged [px squared]."""

_LARGEST_AREA_LIMIT = 2**30
"""Largest limit of the area; images of this size are refused earlier [px squared]."""

_LARGEST_SIDE = 2**14
"""Largest side of a resized image [px]."""

_VIDEO = "video_processor"
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
_VIDEO_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")


def load_processor(
    checkpoint: Checkpoint, min_pixels: int | None = None, max_pixels: int | None = None
) -> Any:
    """Load the processor of a checkpoint; its tokenizer pads on the left.

    Without torchvision, transformers cannot build a processor that also reads videos. In that
    case the same class is built without its video part. The original class can load what it saves.

    Args:
        checkpoint: The checkpoint.
        min_pixels: Smallest area to which an image is resized [px squared]; None keeps that of the
            checkpoint.
        max_pixels: Largest area to which an image is resized [px squared]. A value below the
            checkpoint's smallest area lowers that as well.

    Raises:
        UserError: files of the processor that are missing or damaged, no usable chat template, or limits
            of the area that cannot be met.
    """
    with library_errors(checkpoint.name, "its processor cannot be loaded"):
        processor = _processor_class(checkpoint).from_pretrained(
            checkpoint.folder, trust_remote_code=checkpoint.trust_remote_code
        )
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise UserError(f"{checkpoint.name}: no processor for images and text in the folder")
    if processor.chat_template is None:
        raise UserError(f"{checkpoint.name}: the processor has no chat template")
    check_chat_template(processor, checkpoint.name)
    _check_image_processor(processor.image_processor, checkpoint.name)
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    _limit_area(processor.image_processor, min_pixels, max_pixels, checkpoint.name)
    with library_errors(checkpoint.name, "its processor cannot read an image"):
        _try_image(processor.image_processor)
    return processor


def has_processor(folder: Path) -> bool:
    """Whether a folder, such as that of a trained adapter, holds a processor."""
    return any((folder / name).is_file() for name in _PROCESSOR_FILES)


def smart_resize_of(image_processor: Any) -> SmartResize | None:
    """The resize that an image processor applies; None if it is not that of Qwen-VL.

    Args:
        image_processor: Image processor of a loaded processor, whose settings are read.
    """
    if type(image_processor).__name__ not in _QWEN_RESIZERS or not image_processor.do_resize:
        return None
    return SmartResize(
        factor=image_processor.patch_size * image_processor.merge_size,
        min_pixels=int(image_processor.size["shortest_edge"]),
        max_pixels=int(image_processor.size["longest_edge"]),
    )


def count_image_tokens(processor: Any, image_size: tuple[int, int]) -> int:
    """Number of prompt tokens of one image.

    Args:
        processor: A loaded processor.
        image_size: `(width, height)` [px] of the original.
    """
    image_processor = processor.image_processor
    if type(image_processor).__name__ not in _QWEN_RESIZERS:
        counted = processor._get_num_multimodal_tokens(image_sizes=[image_size[::-1]])
        return int(counted.num_image_tokens[0])
    resize = smart_resize_of(image_processor)
    width, height = image_size if resize is None else resize.size(image_size)
    factor = image_processor.patch_size * image_processor.merge_size
    return (width // factor) * (height // factor)


def frame_spec(family: Family, image_processor: Any, where: str) -> FrameSpec:
    """The frame of a family with the image sizes of one checkpoint's processor.

    Raises:
        UserError: the family answers in pixels of the resized image, but this processor does not
            resize as those of Qwen-VL do.
    """
    resize = smart_resize_of(image_processor)
    in_resized_pixels = family.frame.resize is not None
    if in_resized_pixels and resize is None:
        raise UserError(
            f"{where}: family {family.name} answers in pixels of the resized image, but "
            f"{type(image_processor).__name__} does not resize as its processor does; "
            "choose another family"
        )
    in_original_pixels = family.frame.span is None and not in_resized_pixels
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


def _check_image_processor(image_processor: Any, where: str) -> None:
    """Check sizes before an image is resized to them.

    Raises:
        UserError: a size is no positive number, or larger than any image needs.
    """
    limits = {"patch_size": _LARGEST_PATCH, "merge_size": _LARGEST_PATCH}
    limits["temporal_patch_size"] = _LARGEST_PATCH
    values = {name: getattr(image_processor, name, None) for name in limits}
    is_area = type(image_processor).__name__ in _QWEN_RESIZERS
    for source in ("size", "crop_size"):
        own = getattr(image_processor, source, None)
        for name, value in (dict(own) if own is not None else {}).items():
            values[name] = value
            longest = name.startswith(("max", "longest"))
            area = _LARGEST_AREA_LIMIT if longest else _LARGEST_RESIZED_AREA
            limits[name] = area if is_area else _LARGEST_SIDE
    for name, value in values.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if number is None:
                continue
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not is_number or not 0 < number <= limits[name]:
                raise UserError(
                    f"{where}: bad image processor ({name} is {number!r:.40}; it must lie between 1 "
                    f"and {limits[name]})"
                )


def _try_image(image_processor: Any) -> None:
    """Process a small image.

    Raises:
        ValueError: its pixels are not finite.
    """
    values = image_processor(images=[Image.new("RGB", (64, 64), "grey")], return_tensors="np")
    if not np.isfinite(np.asarray(values["pixel_values"])).all():
        raise ValueError("the pixels are not finite")


def _processor_class(checkpoint: Checkpoint) -> Any:
    library = transformers()
    original = _original_class(checkpoint)
    reads_videos = original is not None and _VIDEO in original.get_attributes()
    if reads_videos and not library.utils.is_torchvision_available():
        return _without_video(original, _video_settings(checkpoint.folder))
    return library.AutoProcessor


def _original_class(checkpoint: Checkpoint) -> Any:
    """The processor class named in the checkpoint, else that of its architecture, else None."""
    library = transformers()
    for name in _PROCESSOR_FILES:
        if (checkpoint.folder / name).is_file():
            named = read_json(checkpoint.folder / name).get("processor_class")
            if named is not None:
                return getattr(library, named, None)
    return library.PROCESSOR_MAPPING.get(type(checkpoint.config), None)


def _without_video(original: Any, video_settings: Mapping[str, Any]) -> Any:
    """Make a processor class without its video part that still saves the video settings.

    Args:
        original: A `ProcessorMixin` of transformers with a `video_processor`.
        video_settings: Settings of the video part that are saved, so that the original class can
            load them.
    """

    def get_attributes(cls: Any) -> list[str]:
        return [name for name in original.get_attributes() if name != _VIDEO]

    def to_dict(self: Any) -> dict[str, Any]:
        return {**original.to_dict(self), _VIDEO: dict(video_settings)}

    def reduce(self: Any) -> Any:  # pickle finds only classes that are attributes of a module
        return _rebuilt, (original, video_settings, self.__dict__)

    members = {
        "__module__": original.__module__,
        "__reduce__": reduce,
        "get_attributes": classmethod(get_attributes),
        "to_dict": to_dict,
    }
    return type(original.__name__, (original,), members)


def _rebuilt(original: Any, video_settings: Mapping[str, Any], state: dict[str, Any]) -> Any:
    kind = _without_video(original, video_settings)
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
