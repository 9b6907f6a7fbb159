"""How a served model is asked and what it sees: its family, told or read from its name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.geometry import FrameSpec
from maniplvm.geometry.frames import Size
from maniplvm.models.checkpoint import read_json
from maniplvm.models.families import FAMILIES, Family, resolve_family

_NAMES = (
    (r"qwen3vl", "qwen3_vl"),
    (r"qwen2\.?5vl", "qwen2_5_vl"),
    (r"qwen2vl", "qwen2_vl"),
    (r"robobrain2(?!\.[1-9])", "robobrain2"),
    (r"robobrain(?!2)", "robobrain1"),
    (r"robopoint", "robopoint"),
    (r"vlar1", "vla_r1"),
    (r"geminiroboticser", "gemini_er"),
    (r"molmoact", "molmoact"),
    (r"molmo(?![2a])", "molmo"),
)
"""Parts of published models' names, without hyphens, underscores and spaces."""


@dataclass(frozen=True)
class ServedFamily:
    """A family, and who says so.

    Attributes:
        family: How the model is asked.
        reason: Whose word it is, for a person: nobody need trust a guess unseen.
    """

    family: Family
    reason: str

    def __str__(self) -> str:
        return f"{self.family.name} ({self.reason}): {_in_words(self.family.frame)}"


def served_family(model: str, told: str | None) -> ServedFamily:
    """The family of a served model.

    Args:
        model: What the server calls it; the folder of a checkpoint on this machine tells its own.
        told: The caller's word, which wins.

    Raises:
        UserError: an unknown family, or nothing that tells it; the valid ones are listed.
    """
    if told is not None:
        return ServedFamily(resolve_family({}, told, model), "as told")
    config = Path(model) / "config.json"
    if config.is_file():
        return ServedFamily(
            resolve_family(read_json(config), None, model), "its config.json says so"
        )
    plain = re.sub(r"[-_\s]", "", model.lower())
    for pattern, name in _NAMES:
        if re.search(pattern, plain):
            return ServedFamily(FAMILIES[name], "read from its name; --family names another")
    raise UserError(
        f"{model}: its name does not tell in which numbers it answers; say so with --family, "
        f"one of {', '.join(FAMILIES)}"
    )


def limited_frame(family: Family, max_pixels: int | None) -> FrameSpec:
    """The family's frame when the model sees images of an area at most.

    Raises:
        UserError: the family answers in pixels of the image as it was sent, which then may not
            be made smaller; or an area below one token.
    """
    spec = family.frame
    if max_pixels is None or spec.span is not None:
        return spec
    if spec.resize is None:
        raise UserError(
            f"--max-pixels: a model of family {family.name} answers in pixels of the original "
            "image, so that is sent as it is"
        )
    if max_pixels < spec.resize.factor**2:
        raise UserError(
            f"--max-pixels is {max_pixels}, but one image token alone covers "
            f"{spec.resize.factor} x {spec.resize.factor} pixels"
        )
    smallest = min(spec.resize.min_pixels, max_pixels)
    return replace(spec, resize=replace(spec.resize, min_pixels=smallest, max_pixels=max_pixels))


def sent_size(family: Family, max_pixels: int | None, original: Size) -> Size:
    """The size in which an image is sent: its own, unless the model is to see less of it.

    Where the frame depends on the size that the model sees, that very size is sent, which the
    server's own resize then leaves as it is.

    Args:
        family: The model's.
        max_pixels: The largest area that it sees [px squared]; None leaves that to the server.
        original: `(width, height)` [px].

    Raises:
        ValueError: an image that the model's resize refuses.
    """
    own, limited = family.frame.resize, limited_frame(family, max_pixels).resize
    if own is not None and limited is not None:
        return original if own.size(original) == limited.size(original) else limited.size(original)
    width, height = original
    if max_pixels is None or width * height <= max_pixels:
        return original
    scale = (max_pixels / (width * height)) ** 0.5
    return max(1, int(width * scale)), max(1, int(height * scale))


def _in_words(spec: FrameSpec) -> str:
    axes = "y first" if spec.y_first else "x first"
    if spec.span is not None:
        return f"it answers in 0 to {spec.span:g} of each side, {axes}"
    if spec.resize is None:
        return f"it answers in pixels of the original image, {axes}"
    return f"it answers in pixels of the image after its processor's resize, {axes}"
