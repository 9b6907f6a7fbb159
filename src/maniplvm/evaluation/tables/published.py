"""Published figures as reference rows of a comparison table.

Each figure has its source and how it was computed. Other protocols, data or prompts change figures
of one model by a factor of two to four, so these rows are references, not measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maniplvm.evaluation.tables.groups import Domain
from maniplvm.evaluation.tables.means import GroupColumn
from maniplvm.evaluation.tables.model import Cell, Row


@dataclass(frozen=True)
class Origin:
    """The source of published figures.

    Attributes:
        source: The publication.
        protocol: The closest protocol of this package.
        how: How the figures were computed, as far as known.
        data: The data sets of each domain's figures.
    """

    source: str
    protocol: str
    how: str
    data: Mapping[Domain, str]


@dataclass(frozen=True)
class PublishedModel:
    """The published figures of one model.

    Attributes:
        name: The published name.
        origin: The source.
        figures: Figures by domain and measure of the protocol: `iou` x 100, distances with each side
            scaled to 1000. Unpublished figures are missing.
    """

    name: str
    origin: Origin
    figures: Mapping[Domain, Mapping[str, float]]


VLA_R1_TABLE = Origin(
    source="VLA-R1 (arXiv 2510.01623), which measured all of these models",
    protocol="maniplvm",
    how="mean IoU x 100; DFD, HD, RMSE and their mean, sides scaled to 1000; the source "
    "does not state how unparsed answers count",
    data={
        Domain.IN: "ShareRobot",
        Domain.OUT: "UMD Part Affordance (1,200 images) and VAIT (500 traces)",
    },
)
"""The source with figures of both tasks, in and out of domain, for several models."""


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
"""All published models, in the order of tables."""


def reference_rows(
    columns: Sequence[GroupColumn], protocol: str
) -> list[tuple[PublishedModel, Row]]:
    """The published models with a figure for one of the columns.

    A figure is shown only in the column of its measure and domain, and only in tables of its closest
    protocol.
    """
    rows = [
        (model, Row(model.name, tuple(_cell(model, column) for column in columns), True))
        for model in PUBLISHED
        if model.origin.protocol == protocol
    ]
    return [(model, row) for model, row in rows if any(c.value is not None for c in row.cells)]


def reference_note(origin: Origin) -> str:
    """The note that explains reference rows."""
    data = "; ".join(f"{domain}: {what}" for domain, what in origin.data.items())
    return (
        f"Grey rows are published figures from {origin.source}: {origin.how}. They were measured on "
        f"{data}. Other data, prompts or protocols change figures several-fold. These rows are "
        "references, not measurements, and are not considered for the best value."
    )


def _cell(model: PublishedModel, column: GroupColumn) -> Cell:
    domain, key = column.group.domain, column.column.key
    figure = None if domain is None else model.figures[domain].get(key)
    return Cell(figure, decimals=2 if key == "iou" else 0)
