"""Published figures as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from maniplvm.evaluation.published import PUBLISHED, Origin, PublishedModel
from maniplvm.evaluation.tables.means import Place
from maniplvm.evaluation.tables.model import Cell, Row


def references(places: Sequence[Place], protocol: str) -> list[tuple[PublishedModel, Row]]:
    """The published models that have a figure for one of the columns.

    A figure stands only under its own measure and domain, and only beside rows of the protocol
    that it is nearest to.
    """
    rows = [
        (model, Row(model.name, tuple(_cell(model, place) for place in places), True))
        for model in PUBLISHED
        if model.origin.protocol == protocol
    ]
    return [(model, row) for model, row in rows if any(c.value is not None for c in row.cells)]


def reference_note(origin: Origin) -> str:
    """What must be known before rows are compared with figures from elsewhere."""
    data = "; ".join(f"{domain}: {what}" for domain, what in origin.data.items())
    return (
        f"Grey: published figures, from {origin.source}; {origin.how}. Measured on {data}. Other "
        "data, prompts or protocols move figures several-fold: these rows are references, not "
        "measurements of this table, and take no part in what is best."
    )


def _cell(model: PublishedModel, place: Place) -> Cell:
    domain, key = place.group.domain, place.column.key
    figure = None if domain is None else model.figures[domain].get(key)
    return Cell(figure, decimals=2 if key == "iou" else 0)
