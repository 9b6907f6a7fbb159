from pathlib import Path

import pytest
from benchmarks.reliability.parts import run_part
from benchmarks.reliability.result import Settings

PACKAGES = {"servers": "httpx2", "checkpoints": "peft", "injection": "jinja2"}


# peft asks for a name that transformers has renamed
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("name", PACKAGES)
def test_the_short_form_of_a_part_loses_nothing(name, tmp_path, monkeypatch):
    pytest.importorskip(PACKAGES[name])
    monkeypatch.setenv("OPENAI_API_KEY", "")
    result = run_part(name, Settings(seed=3, jobs=2, quick=True, folder=Path(tmp_path)))
    assert result.tried >= 5
    assert result.failures == []
