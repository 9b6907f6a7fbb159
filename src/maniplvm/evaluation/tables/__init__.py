"""Comparison tables of several evaluations, and their file formats."""

from maniplvm.evaluation.tables.columns import READINGS, Column, TableSpec
from maniplvm.evaluation.tables.compare import ComparisonOptions, compare_runs
from maniplvm.evaluation.tables.formats.writers import WRITERS, format_of
from maniplvm.evaluation.tables.groups import Group, group_splits
from maniplvm.evaluation.tables.model import Cell, Heading, Page, Row, Table

__all__ = [
    "READINGS",
    "WRITERS",
    "Cell",
    "Column",
    "ComparisonOptions",
    "Group",
    "Heading",
    "Page",
    "Row",
    "Table",
    "TableSpec",
    "compare_runs",
    "format_of",
    "group_splits",
]
