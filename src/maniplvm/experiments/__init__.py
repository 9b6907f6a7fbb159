"""Whole experiments: chains of the same commands that a person would type."""

from maniplvm.experiments.quickstart import (
    EVALUATED,
    Stage,
    headline_figures,
    quickstart_stages,
)
from maniplvm.experiments.running import StageRecord, run_stages

__all__ = [
    "EVALUATED",
    "Stage",
    "StageRecord",
    "headline_figures",
    "quickstart_stages",
    "run_stages",
]
