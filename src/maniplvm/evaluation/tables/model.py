"""The content of a page of tables, independent of the file format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

FORMAT = "maniplvm.tables/1"
DASH = "-"


@dataclass(frozen=True)
class Cell:
    """One figure, in the shown unit.

    Attributes:
        value: The figure, or None.
        low: Lower end of its 95 % interval, or None.
        high: Upper end of its 95 % interval, or None.
        count: Number of its samples, or None if unknown.
        decimals: Number of shown decimals.
        signed: Whether it is a difference, shown with its sign.
        best: Whether it is the best value of its column.
        clear: Whether it is a difference whose interval excludes 0.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    decimals: int = 1
    signed: bool = False
    best: bool = False
    clear: bool = False

    @property
    def text(self) -> str:
        """The rounded figure, or a dash."""
        return self._shown(self.value)

    @property
    def span(self) -> str:
        """The rounded interval, or an empty string."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._shown(self.low)} to {self._shown(self.high)}"

    def _shown(self, value: float | None) -> str:
        if value is None:
            return DASH
        rounded = round(value, self.decimals) + 0.0  # adding 0 removes the sign of a negative zero
        return f"{rounded:{'+' if self.signed else ''}.{self.decimals}f}"


@dataclass(frozen=True)
class Heading:
    """The three levels of a column's heading.

    Attributes:
        group: The heading of several bands, such as `in domain: id_test`.
        band: The heading of several columns, such as `box`.
        text: The heading of this column.
        lower_is_better: Whether a lower value is better; None if neither is.
    """

    group: str
    band: str
    text: str
    lower_is_better: bool | None = None

    @property
    def label(self) -> str:
        """The text with an arrow in the better direction."""
        arrow = {None: "", True: " ↓", False: " ↑"}[self.lower_is_better]
        return self.text + arrow


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: The name of the run or model.
        cells: One cell for each heading.
        is_reference: Whether its figures are published ones, which are shown grey.
    """

    name: str
    cells: tuple[Cell, ...]
    is_reference: bool = False

    @property
    def has_values(self) -> bool:
        """Whether it has any figure."""
        return any(cell.value is not None for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: The title.
        headings: The headings of its columns.
        rows: The rows.
    """

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]

    def stacked(self) -> list[Table]:
        """One table for each group of columns."""
        return self._split_by([(heading.group,) for heading in self.headings])

    def bands(self) -> list[Table]:
        """One table for each band of each group."""
        return self._split_by([(heading.group, heading.band) for heading in self.headings])

    def columns(self, indices: Sequence[int]) -> Table:
        """Some of its columns, without reference rows that have no figure in them."""
        rows = (
            replace(row, cells=tuple(row.cells[index] for index in indices)) for row in self.rows
        )
        return replace(
            self,
            headings=tuple(self.headings[index] for index in indices),
            rows=tuple(row for row in rows if not row.is_reference or row.has_values),
        )

    def _split_by(self, keys: Sequence[tuple[str, ...]]) -> list[Table]:
        parts = groupby(range(len(keys)), key=keys.__getitem__)
        return [self.columns(list(indices)) for _, indices in parts]

    def group_spans(self) -> list[tuple[str, int]]:
        """The name and number of columns of each group, in order."""
        return _spans([(heading.group,) for heading in self.headings])

    def band_spans(self) -> list[tuple[str, int]]:
        """The name and number of columns of each band, in order; no band spans two groups."""
        return _spans([(heading.band, heading.group) for heading in self.headings])


@dataclass(frozen=True)
class Page:
    """Tables of one comparison, with warnings and notes.

    Attributes:
        title: The protocol and reading.
        tables: The tables.
        warnings: Differences between the runs that limit the comparison.
        notes: How to read the tables.
    """

    title: str
    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def stacked(self) -> Page:
        """The same page with one table for each group of columns."""
        tables = tuple(part for table in self.tables for part in table.stacked())
        return replace(self, tables=tables)

    def to_json(self) -> dict[str, Any]:
        """The content as JSON data."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Page:
        """The inverse of `to_json`.

        Raises:
            ValueError: the data has another format.
        """
        if plain.get("format") != FORMAT:
            raise ValueError(f"format {plain.get('format')!r}, expected {FORMAT!r}")
        tables = tuple(
            Table(
                own["title"],
                tuple(Heading(**heading) for heading in own["headings"]),
                tuple(_rows(own["rows"])),
            )
            for own in plain["tables"]
        )
        return cls(plain["title"], tables, tuple(plain["warnings"]), tuple(plain["notes"]))


def _rows(plain: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for row in plain:
        yield Row(row["name"], tuple(Cell(**cell) for cell in row["cells"]), row["is_reference"])


def _spans(keys: Sequence[tuple[str, ...]]) -> list[tuple[str, int]]:
    return [(key[0], len(list(own))) for key, own in groupby(keys)]
