import json
from pathlib import Path

import pytest

from maniplvm.simulation.execution import UNRELIABLE_TASKS

pytestmark = pytest.mark.sim

REPORT = Path(__file__).parents[3] / "results" / "execution.json"


def test_the_unreliable_tasks_are_those_whose_own_references_fail():
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    least = report["least_reference_success"]
    measured = {
        task
        for rows in report["qualifying"].values()
        for task, row in rows.items()
        if row["success"] < least
    }
    assert measured == UNRELIABLE_TASKS
