import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.training.shared_prefix import SharedPrefixSettings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "shared-prefix.md").read_text(encoding="utf-8")
RESULTS = ROOT / "results" / "shared_prefix.json"


def test_the_page_documents_every_setting():
    assert [
        each.name for each in fields(SharedPrefixSettings) if f"`{each.name}`" not in PAGE
    ] == []


def test_invalid_settings_are_errors():
    with pytest.raises(UserError, match="tolerance"):
        SharedPrefixSettings(tolerance=0)
    with pytest.raises(UserError, match="max_row_tokens"):
        SharedPrefixSettings(max_row_tokens=0)


@pytest.mark.skipif(not RESULTS.exists(), reason="not measured yet: make bench-grpo")
def test_the_table_of_the_page_is_the_measured_one():
    pytest.importorskip("matplotlib")
    from maniplvm.experiments.pages.shared_prefix import markdown

    assert markdown(json.loads(RESULTS.read_text(encoding="utf-8"))) in PAGE


def test_settings_are_read_without_torch_or_trl():
    import subprocess

    code = (
        "import sys; import maniplvm.training.shared_prefix.settings;"
        "import maniplvm.training.shared_prefix;"
        "assert not {'torch', 'trl', 'transformers'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
