"""lmms-eval: data sets and protocols of this package as lmms-eval tasks."""

from maniplvm.engines.lmms_eval.folder import Export, export_tasks
from maniplvm.engines.lmms_eval.harness import Harness

__all__ = ["Export", "Harness", "export_tasks"]
