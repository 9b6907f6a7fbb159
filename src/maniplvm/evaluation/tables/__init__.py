"""Evaluations side by side: a page of tables, and its formats."""

from maniplvm.evaluation.tables.building import Comparing, compare_runs
from maniplvm.evaluation.tables.columns import Column
from maniplvm.evaluation.tables.formats.writers import WRITERS, format_of
from maniplvm.evaluation.tables.groups import Group, group_splits
from maniplvm.evaluation.tables.model import Cell, Heading, Page, Row, Table
from maniplvm.evaluation.tables.scheme import READINGS, Scheme

__all__ = [
    "READINGS",
    "WRITERS",
    "Cell",
    "Column",
    "Comparing",
    "Group",
    "Heading",
    "Page",
    "Row",
    "Scheme",
    "Table",
    "compare_runs",
    "format_of",
    "group_splits",
]
