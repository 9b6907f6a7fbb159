"""What a page of tables is, before it is written in any format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

FORMAT = "maniplvm.tables/1"
DASH = "-"


@dataclass(frozen=True)
class Cell:
    """One figure, in the unit in which it is shown.

    Attributes:
        value: The figure, or None where there is none.
        low: Lower end of its 95 % interval, or None.
        high: Upper end of its interval, or None.
        count: Samples behind it, or None where that is not known.
        decimals: How many are shown.
        signed: Whether it is a difference, shown with its sign.
        best: Whether it is the best of its column.
        clear: Whether it is a difference whose interval leaves out 0.
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
        """The figure as it is shown, a dash where there is none."""
        return self._shown(self.value)

    @property
    def span(self) -> str:
        """Its interval as it is shown, or nothing."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._shown(self.low)} to {self._shown(self.high)}"

    def _shown(self, value: float | None) -> str:
        if value is None:
            return DASH
        rounded = round(value, self.decimals) + 0.0  # adding 0 takes the sign from a zero
        return f"{rounded:{'+' if self.signed else ''}.{self.decimals}f}"


@dataclass(frozen=True)
class Heading:
    """What stands over a column.

    Attributes:
        group: Over several bands, such as `in domain: id_test`.
        band: Over several columns, such as `box`.
        text: Over this one.
        lower_is_better: The direction; None where there is none.
    """

    group: str
    band: str
    text: str
    lower_is_better: bool | None = None

    @property
    def label(self) -> str:
        """The text with an arrow towards better."""
        arrow = {None: "", True: " ↓", False: " ↑"}[self.lower_is_better]
        return self.text + arrow


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        name: What it is about.
        cells: One for each heading.
        is_reference: Whether its figures were published elsewhere: shown grey.
    """

    name: str
    cells: tuple[Cell, ...]
    is_reference: bool = False

    @property
    def says_something(self) -> bool:
        """Whether it holds any figure."""
        return any(cell.value is not None for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: What it shows.
        headings: Its columns.
        rows: Its rows.
    """

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]

    def stacked(self) -> list[Table]:
        """A table for each group of columns, to be read one below the other."""
        return self._parted([(heading.group,) for heading in self.headings])

    def bands(self) -> list[Table]:
        """A table for each band of each group."""
        return self._parted([(heading.group, heading.band) for heading in self.headings])

    def columns(self, places: Sequence[int]) -> Table:
        """Some of its columns, without references that have no figure there."""
        rows = (
            replace(row, cells=tuple(row.cells[place] for place in places)) for row in self.rows
        )
        return replace(
            self,
            headings=tuple(self.headings[place] for place in places),
            rows=tuple(row for row in rows if not row.is_reference or row.says_something),
        )

    def _parted(self, keys: Sequence[tuple[str, ...]]) -> list[Table]:
        parts = groupby(range(len(keys)), key=keys.__getitem__)
        return [self.columns(list(places)) for _, places in parts]

    def group_spans(self) -> list[tuple[str, int]]:
        """Each group's name and number of columns, in order."""
        return _spans([(heading.group,) for heading in self.headings])

    def band_spans(self) -> list[tuple[str, int]]:
        """Each band's name and number of columns, in order; no band crosses groups."""
        return _spans([(heading.band, heading.group) for heading in self.headings])


@dataclass(frozen=True)
class Page:
    """Tables that belong together, and what must be known to read them.

    Attributes:
        title: What was measured.
        tables: The tables.
        warnings: What makes rows less comparable than they look.
        notes: How to read them.
    """

    title: str
    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def stacked(self) -> Page:
        """The same with a table for each group of columns."""
        tables = tuple(part for table in self.tables for part in table.stacked())
        return replace(self, tables=tables)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Page:
        """What `to_json` described.

        Raises:
            ValueError: another format.
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
