"""HTML report on an evaluation, and on its differences to other evaluations."""

from maniplvm.evaluation.report.page import Sources, build_report

__all__ = ["Sources", "build_report"]
