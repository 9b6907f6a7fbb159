"""The family of a served model (given, or read from its name), its frame and image size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from maniplvm.errors import UserError
from maniplvm.geometry import FrameSpec
from maniplvm.geometry.frames import Size
from maniplvm.models.families import FAMILIES, Family, family_in_name, resolve_family
from maniplvm.models.untrusted import read_json


@dataclass(frozen=True)
class ServedFamily:
    """A family, and how it was determined.

    Attributes:
        family: The family, which decides prompt and coordinate frame.
        reason: How it was determined, as the command line shows it.
    """

    family: Family
    reason: str

    def __str__(self) -> str:
        return f"{self.family.name} ({self.reason}): {_describe(self.family.frame)}"


def served_family(model: str, given: str | None) -> ServedFamily:
    """The family of a served model.

    Args:
        model: The model's name on the server, or the folder of a checkpoint on this machine.
        given: The family that the user gives; None reads it from the checkpoint or the name.

    Raises:
        UserError: an unknown family, or none can be determined; the valid ones are listed.
    """
    if given is not None:
        return ServedFamily(resolve_family({}, given, model), "as given")
    config, named = Path(model) / "config.json", family_in_name(model)
    if config.is_file():
        resolved = resolve_family(read_json(config), None, model)
        source = "its name and config.json" if resolved == named else "its config.json"
        return ServedFamily(resolved, f"read from {source}")
    if named is not None:
        return ServedFamily(named, "read from its name; --family overrides it")
    raise UserError(
        f"{model}: its family cannot be read from its name; give --family, one of "
        f"{', '.join(FAMILIES)}"
    )


def limited_frame(family: Family, max_pixels: int | None) -> FrameSpec:
    """The family's frame with a limit on the image area.

    Raises:
        UserError: the family answers in pixels of the original image, which must not be resized;
            or the area is below one image token.
    """
    spec = family.frame
    if max_pixels is None or spec.span is not None:
        return spec
    if spec.resize is None:
        raise UserError(
            f"--max-pixels: a model of family {family.name} answers in pixels of the original "
            "image, so the image cannot be resized"
        )
    if max_pixels < spec.resize.factor**2:
        raise UserError(
            f"--max-pixels is {max_pixels}, but one image token covers "
            f"{spec.resize.factor} x {spec.resize.factor} pixels"
        )
    smallest = min(spec.resize.min_pixels, max_pixels)
    return replace(spec, resize=replace(spec.resize, min_pixels=smallest, max_pixels=max_pixels))


def sent_size(family: Family, max_pixels: int | None, original: Size) -> Size:
    """The size of the image that is sent: the original, or a smaller one under a limit.

    If the frame depends on the size that the model sees, exactly that size is sent. The server's
    own resize then does not change it.

    Args:
        family: The model's family.
        max_pixels: The largest image area [px squared]; None sets no limit.
        original: `(width, height)` [px].

    Raises:
        ValueError: the model's resize does not accept the image.
    """
    own, limited = family.frame.resize, limited_frame(family, max_pixels).resize
    if own is not None and limited is not None:
        return original if own.size(original) == limited.size(original) else limited.size(original)
    width, height = original
    if max_pixels is None or width * height <= max_pixels:
        return original
    scale = (max_pixels / (width * height)) ** 0.5
    return max(1, int(width * scale)), max(1, int(height * scale))


def _describe(spec: FrameSpec) -> str:
    axes = "y first" if spec.y_first else "x first"
    if spec.span is not None:
        return f"it answers in 0 to {spec.span:g} of each side, {axes}"
    if spec.resize is None:
        return f"it answers in pixels of the original image, {axes}"
    return f"it answers in pixels of the image after its processor's resize, {axes}"
