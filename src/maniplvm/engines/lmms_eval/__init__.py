"""lmms-eval: our data sets and protocols as its tasks."""

from maniplvm.engines.lmms_eval.folder import Export, export_tasks
from maniplvm.engines.lmms_eval.harness import Harness

__all__ = ["Export", "Harness", "export_tasks"]
