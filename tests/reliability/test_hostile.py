from pathlib import Path

import pytest
from benchmarks.reliability.parts import run_part
from benchmarks.reliability.result import Settings

PACKAGES = {"servers": "httpx2", "checkpoints": "torch", "injection": "jinja2"}


@pytest.mark.parametrize("name", PACKAGES)
def test_the_short_form_of_a_part_loses_nothing(name, tmp_path, monkeypatch):
    pytest.importorskip(PACKAGES[name])
    monkeypatch.setenv("OPENAI_API_KEY", "")
    result = run_part(name, Settings(seed=3, jobs=2, quick=True, folder=Path(tmp_path)))
    assert result.tried >= 5
    assert result.failures == []
