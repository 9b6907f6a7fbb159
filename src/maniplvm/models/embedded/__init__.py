"""The embedded model: a tiny policy of a real class that ships with the package."""

from maniplvm.models.embedded.architecture import (
    ANSWER_PIECES,
    COORDINATES,
    SIDE_PX,
    Shape,
    write_untrained,
)
from maniplvm.models.embedded.shipped import EMBEDDED, shipped_folder

__all__ = [
    "ANSWER_PIECES",
    "COORDINATES",
    "EMBEDDED",
    "SIDE_PX",
    "Shape",
    "shipped_folder",
    "write_untrained",
]
