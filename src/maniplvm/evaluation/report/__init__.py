"""The report: one self-contained page about what a model does, and what training changed."""

from maniplvm.evaluation.report.page import Sources, build_report

__all__ = ["Sources", "build_report"]
