"""Data sets and executions from two Ray nodes equal those of one machine."""

from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.execution import open_execution_pool
from tests.cluster.isolation import can_isolate, run_isolated

pytest.importorskip("ray")
pytestmark = pytest.mark.sim
HERE = Path(__file__).parent
needs_namespace = pytest.mark.skipif(
    not can_isolate(), reason="needs the right to create a network namespace"
)


@needs_namespace
@pytest.mark.gl
@pytest.mark.usefixtures("opengl")
def test_two_nodes_give_the_results_and_the_bytes_of_one_machine(tmp_path):
    found = run_isolated(HERE / "ray_script.py", tmp_path)
    assert found["executions"]
    assert found["push tests"]
    assert found["counted"]
    assert {"solved", "invalid"} < set(found["reasons"])
    assert found["bytes"]
    assert found["logs"] == [1, 1]
    assert found["bytes after a loss"]
    assert found["left"] == 1


def test_numbers_out_of_range_are_refused_before_a_connection():
    with pytest.raises(UserError, match="--timeout must be above 0"):
        open_execution_pool(1, 0.0, "127.0.0.1:1")
    with pytest.raises(UserError, match="--workers must be at least 1"):
        open_execution_pool(0, 1.0, "127.0.0.1:1")
    with pytest.raises(UserError, match="nothing answers there"):
        open_execution_pool(1, 1.0, "127.0.0.1:1")
