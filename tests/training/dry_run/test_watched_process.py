"""Processes whose memory is watched: what they return, and how one above its limit ends."""

import os
import time

import pytest

MIB = 2**20


def hold(recorder, size, seconds):
    """Hold some memory for a while, in an interval of its own."""
    with recorder.interval("hold"):
        held = bytearray(os.urandom(1)) * size
        time.sleep(seconds)
    return len(held), os.getpid()


def fail(_):
    """A fault of the process."""
    raise ValueError("a fault")


@pytest.fixture
def watched(benchmark):
    return benchmark("watched_process")


def test_the_memory_of_an_interval_and_its_time_are_recorded(watched):
    found = watched.run_watched(hold, 300 * MIB, 0.5, limit=2000 * MIB)
    size, pid = found.value
    assert size == 300 * MIB
    assert pid != os.getpid()
    assert 300 * MIB < found.peak_in("hold") <= found.peak < 1000 * MIB
    assert found.seconds("hold")[0] >= 0.5
    assert found.peak_in("another") == 0


def test_a_process_above_its_limit_is_ended(watched):
    start = time.monotonic()
    with pytest.raises(MemoryError, match=r"stopped at 0\.\d GiB"):
        watched.run_watched(hold, 600 * MIB, 60.0, limit=300 * MIB)
    assert time.monotonic() - start < 40


def test_a_process_that_fails_is_an_error(watched, capfd):
    with pytest.raises(RuntimeError, match="failed with status 1"):
        watched.run_watched(fail, limit=2000 * MIB)
    assert "ValueError: a fault" in capfd.readouterr().err
