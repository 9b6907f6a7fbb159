"""Experiments: chains of `maniplvm` commands, and grids of training runs."""

from maniplvm.experiments.grids.arm import Arm, Budget
from maniplvm.experiments.grids.costs import RunStatus, forecast
from maniplvm.experiments.grids.grid import Costs, EvaluationSettings, Grid
from maniplvm.experiments.grids.grid_file import read_grid
from maniplvm.experiments.grids.kept_results import check_results
from maniplvm.experiments.grids.results import write_evidence
from maniplvm.experiments.grids.runner import default_jobs, run_grid
from maniplvm.experiments.grids.runs import Run, runs_of
from maniplvm.experiments.grids.stages import stages_of
from maniplvm.experiments.pooling import paired_differences, pooled_results, rounded, thinned
from maniplvm.experiments.quickstart import (
    EVALUATED,
    Folders,
    headline_results,
    quickstart_stages,
    results_of,
    results_to_json,
)
from maniplvm.experiments.stages import Stage, StageRecord, read_records, run_stages

__all__ = [
    "EVALUATED",
    "Arm",
    "Budget",
    "Costs",
    "EvaluationSettings",
    "Folders",
    "Grid",
    "Run",
    "RunStatus",
    "Stage",
    "StageRecord",
    "check_results",
    "default_jobs",
    "forecast",
    "headline_results",
    "paired_differences",
    "pooled_results",
    "quickstart_stages",
    "read_grid",
    "read_records",
    "results_of",
    "results_to_json",
    "rounded",
    "run_grid",
    "run_stages",
    "runs_of",
    "stages_of",
    "thinned",
    "write_evidence",
]
