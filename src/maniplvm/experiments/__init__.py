"""Whole experiments: chains of the same commands that a person would type."""

from maniplvm.experiments.quickstart import (
    EVALUATED,
    Folders,
    figures_of,
    headline_figures,
    plain_figures,
    quickstart_stages,
)
from maniplvm.experiments.running import Stage, StageRecord, read_records, run_stages

__all__ = [
    "EVALUATED",
    "Folders",
    "Stage",
    "StageRecord",
    "figures_of",
    "headline_figures",
    "plain_figures",
    "quickstart_stages",
    "read_records",
    "run_stages",
]
