"""The embedded model: a tiny policy of a real class that ships with the package."""

from maniplvm.embedded.architecture import (
    ANSWER_PIECES,
    COORDINATES,
    SIDE_PX,
    Shape,
    write_untrained,
)

__all__ = [
    "ANSWER_PIECES",
    "COORDINATES",
    "SIDE_PX",
    "Shape",
    "write_untrained",
]
