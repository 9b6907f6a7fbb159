"""Published figures, each with where it stands and how it was made.

They are references, not rivals: another protocol, other data or another prompt moves figures of one
and the same model by a factor of two to four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Domain(StrEnum):
    """Whether data are of the kind that was trained on."""

    IN = "in domain"
    OUT = "out of domain"


@dataclass(frozen=True)
class Origin:
    """Where figures were published, and of what.

    Attributes:
        source: The publication.
        protocol: The protocol of ours that they are nearest to.
        how: What is known of how they were made.
        data: What each domain's figures were measured on.
    """

    source: str
    protocol: str
    how: str
    data: Mapping[Domain, str]


@dataclass(frozen=True)
class PublishedModel:
    """One model's published figures.

    Attributes:
        name: As it was published.
        origin: Where.
        figures: By domain and measure of our protocol: `iou` as a share of 100, distances in
            thousandths of the image's sides; what was not published is missing.
    """

    name: str
    origin: Origin
    figures: Mapping[Domain, Mapping[str, float]]


VLA_R1_TABLE = Origin(
    source="VLA-R1 (arXiv 2510.01623), which measured all of these models",
    protocol="maniplvm",
    how="mean IoU x 100; DFD, HD, RMSE and their mean, sides scaled to 1000; how unreadable "
    "answers count is not said",
    data={
        Domain.IN: "ShareRobot",
        Domain.OUT: "UMD Part Affordance (1,200 images) and VAIT (500 traces)",
    },
)
"""The one table that has both tasks in and out of domain for several models."""


def _model(
    name: str, inside: tuple[float | None, ...], outside: tuple[float | None, ...]
) -> PublishedModel:
    measures = ("iou", "dfd_1000", "hd_1000", "rmse_1000", "avg_1000")
    figures = {
        domain: {
            measure: value
            for measure, value in zip(measures, values, strict=True)
            if value is not None
        }
        for domain, values in ((Domain.IN, inside), (Domain.OUT, outside))
    }
    return PublishedModel(name, VLA_R1_TABLE, figures)


PUBLISHED = (
    _model("Qwen2.5-VL-3B", (6.15, 208, 179, 144, 175), (23.96, 212, 205, 140, None)),
    _model("Qwen2.5-VL-32B", (7.40, 126, 113, 85, 108), (25.14, 183, 177, 133, 164)),
    _model("RoboBrain-7B", (11.79, 156, 137, 107, 133), (22.00, 221, 214, 173, 203)),
    _model(
        "ManipLVM-R1-3B (half the data)", (31.00, 134, 111, 87, 111), (28.00, 147, 141, 109, 132)
    ),
    _model("VLA-R1-3B", (36.51, 106, 98, 71, 92), (33.96, 114, 98, 69, 94)),
)
"""Every published model, in the order of reports."""
