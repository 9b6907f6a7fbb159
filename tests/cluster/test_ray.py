"""Two raylets in a network namespace: chunks and commands on their nodes, and lost nodes."""

from pathlib import Path

import pytest

from maniplvm.cluster import ray_address
from tests.cluster.isolation import can_isolate, run_isolated

pytest.importorskip("ray")
HERE = Path(__file__).parent
needs_namespace = pytest.mark.skipif(
    not can_isolate(), reason="needs the right to create a network namespace"
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run_isolated(HERE / "node_pool_script.py", tmp_path_factory.mktemp("pool"))


@needs_namespace
def test_all_nodes_work_and_stay_between_runs(found):
    assert (found["nodes"], found["processes"], found["again"]) == (2, 2, 2)


@needs_namespace
def test_the_chunk_of_a_killed_actor_runs_again(found):
    (line,) = found["died"]
    assert line.startswith("node 127.0.0.")


@needs_namespace
def test_an_error_of_the_user_ends_the_run_and_other_errors_are_tried_again_first(found):
    assert found["refused"] == "number 3 is refused"
    assert "lost 2 times (ValueError: number 3 is broken)" in found["raised"]
    assert "a chunk took more than 0.5 s" in found["hung"]


@needs_namespace
def test_nodes_may_leave_and_join_during_a_run(found):
    assert found["left"][0] == 1
    assert len(found["left"][1]) == 1
    assert found["joined"] == 2


@needs_namespace
def test_a_wrong_address_is_found_at_once(found):
    assert "nothing answers there" in found["silent"]
    assert "expected HOST:PORT" in found["address"]


@needs_namespace
def test_a_command_runs_on_a_node_with_its_output_in_the_log(found):
    assert found["command"] == [3, "ran blue\n", True]
    assert "is not visible on node" in found["not shared"]
    assert "no node has 99 CPUs" in found["too large"]


@needs_namespace
def test_a_closed_connection_ends_its_commands(found):
    assert found["closed"] == 130
    assert found["closed in time"]


@pytest.mark.parametrize(
    ("option", "variable", "address"),
    [
        (None, None, None),
        (None, "10.0.0.1:6379", "10.0.0.1:6379"),
        ("10.0.0.2:6379", "10.0.0.1:6379", "10.0.0.2:6379"),
        ("", "10.0.0.1:6379", None),
    ],
)
def test_the_option_wins_over_the_variable(option, variable, address, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert ray_address(option) == address
