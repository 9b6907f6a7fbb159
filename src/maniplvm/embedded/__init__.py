"""The embedded model: a small Qwen3-VL policy that ships with the package."""

from maniplvm.embedded.architecture import (
    ANSWER_PIECES,
    COORDINATES,
    SIDE_PX,
    ModelShape,
    write_untrained_checkpoint,
)
from maniplvm.models.shipped import EMBEDDED, shipped_folder

__all__ = [
    "ANSWER_PIECES",
    "COORDINATES",
    "EMBEDDED",
    "SIDE_PX",
    "ModelShape",
    "shipped_folder",
    "write_untrained_checkpoint",
]
