import os
import signal
from dataclasses import replace

import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.execution import (
    ExecutionJob,
    ExecutionPool,
    Reason,
    execute,
    execute_batch,
)

pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def pool():
    with ExecutionPool(2, timeout=20.0) as shared:
        yield shared


@pytest.fixture
def jobs(sample_of):
    samples = [sample_of("drawer-open-v3"), sample_of("button-press-topdown-v3")]
    return [ExecutionJob(sample, sample.target.points) for sample in [*samples, *samples, *samples]]


def reasons(executions):
    return [execution.reason for execution in executions]


def processes(pool):
    return [worker._process.pid or 0 for worker in pool._workers]


def once(action):
    """A progress callback that acts when the first execution is done."""
    pending = [action]

    def callback(finished):
        if finished and pending:
            pending.pop()()

    return callback


def test_results_come_in_the_order_of_the_jobs(pool, jobs, scenes):
    wrong = ExecutionJob(jobs[0].sample, [[0.0, 0.0], [5.0, 5.0]])
    mixed = [jobs[0], wrong, jobs[1], ExecutionJob(jobs[0].sample, None)]
    expected = [execute(job.sample, job.trace, scenes=scenes) for job in mixed[:3]]
    done = pool.run(mixed)
    assert done[:3] == expected
    assert done[3].reason is Reason.INVALID


def test_a_bad_trace_does_not_stop_the_batch(pool, jobs):
    bad = [
        ExecutionJob(jobs[0].sample, trace) for trace in ("nonsense", [[float("nan")] * 2] * 3, [])
    ]
    done = reasons(pool.run([*bad, *jobs[:2]]))
    assert done == [Reason.INVALID] * 3 + [Reason.SOLVED] * 2


def test_progress_counts_every_job(pool, jobs):
    counts = []
    pool.run([*jobs[:3], ExecutionJob(jobs[0].sample, None)], counts.append)
    assert sum(counts) == 4


def test_a_failed_simulator_is_reported_and_the_batch_continues(pool, jobs):
    sample = jobs[0].sample
    broken = replace(sample, provenance={**sample.provenance, "touched_body": "teapot"})
    done = pool.run([ExecutionJob(broken, sample.target.points), *jobs[:2]])
    assert reasons(done) == [Reason.CRASHED, Reason.SOLVED, Reason.SOLVED]
    assert "teapot" in done[0].detail


def test_a_killed_worker_loses_only_its_own_execution(pool, jobs):
    victim = processes(pool)[0]
    done = reasons(pool.run(jobs, once(lambda: os.kill(victim, signal.SIGKILL))))
    assert done.count(Reason.CRASHED) <= 1
    assert done.count(Reason.SOLVED) >= len(jobs) - 1
    assert victim not in processes(pool)


def test_a_stuck_worker_is_replaced(jobs, monkeypatch):
    monkeypatch.setattr("maniplvm.simulation.execution.worker.OPENING_SECONDS", 5.0)
    monkeypatch.setattr("maniplvm.simulation.execution.worker.GRACE_SECONDS", 0.5)
    with ExecutionPool(1, timeout=4.0) as pool:
        (victim,) = processes(pool)
        done = reasons(pool.run(jobs[:6:2], once(lambda: os.kill(victim, signal.SIGSTOP))))
    assert done.count(Reason.TIMEOUT) == 1
    assert done.count(Reason.SOLVED) == 2


def test_the_time_limit_holds_for_every_motion(jobs):
    assert reasons(execute_batch(jobs[:1], 1, timeout=1e-9)) == [Reason.TIMEOUT]


def test_an_unknown_world_stops_the_batch_with_one_line(jobs):
    sample = jobs[0].sample
    elsewhere = replace(sample, provenance={**sample.provenance, "world": "isaac"})
    with pytest.raises(UserError, match="unknown world 'isaac'"):
        execute_batch([ExecutionJob(elsewhere, sample.target.points)], 1)


@pytest.mark.parametrize(("workers", "timeout"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_workers_and_timeout_must_be_positive(workers, timeout):
    with pytest.raises(UserError, match="--"):
        ExecutionPool(workers, timeout)


def test_an_empty_batch_returns_at_once(pool):
    assert pool.run([]) == []


def test_an_interrupted_batch_closes_its_pool(jobs):
    def interrupt(finished):
        if finished:
            raise KeyboardInterrupt

    with ExecutionPool(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.run(jobs[:2], interrupt)
        with pytest.raises(RuntimeError, match="closed"):
            pool.run(jobs[:1])
