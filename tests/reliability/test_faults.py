"""The short forms of the parts on interruptions and missing resources."""

import pytest
from benchmarks.reliability.parts import run_part
from benchmarks.reliability.result import Settings


@pytest.mark.parametrize(("name", "least"), [("interruptions", 4), ("resources", 14)])
def test_no_attempt_is_lost(tmp_path, name, least):
    result = run_part(name, Settings(seed=0, jobs=2, quick=True, folder=tmp_path / "part"))
    assert result.failures == []
    assert result.tried >= least
