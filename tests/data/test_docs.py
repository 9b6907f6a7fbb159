import re
from pathlib import Path

from maniplvm.cli.data import app
from maniplvm.data import ErrorCode
from maniplvm.data.images import MAX_FILE_BYTES, MAX_PIXELS
from maniplvm.data.readers import FORMATS, flag
from maniplvm.data.schema import COLUMNS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "data.md").read_text(encoding="utf-8")
DATASETS = (DOCS / "datasets.md").read_text(encoding="utf-8")


def test_the_page_names_every_format_column_command_and_code():
    for name in (*FORMATS, *COLUMNS):
        assert f"`{name}`" in PAGE
    for command in app.registered_commands:
        assert f"maniplvm data {command.name or getattr(command.callback, '__name__', '?')}" in PAGE
    for code in ErrorCode:
        assert code.value in PAGE


def test_the_page_of_data_sets_has_a_section_for_every_format_and_names_no_other():
    titles = re.findall(r"^## (.+)$", DATASETS, re.MULTILINE)
    for name in FORMATS:
        assert any(title.split()[-1] == name for title in titles), name
    assert set(re.findall(r"data import (\S+)", DATASETS)) <= set(FORMATS)
    for options in (form.options for form in FORMATS.values()):
        for option in options:
            assert flag(option) in DATASETS + PAGE, option


def test_the_page_states_the_limits():
    assert f"{MAX_PIXELS:,} pixels" in PAGE
    assert f"{MAX_FILE_BYTES // 2**20} MiB" in PAGE


def test_the_example_of_the_page_runs(tmp_path, monkeypatch):
    from maniplvm.data import open_dataset
    from tests.data.conftest import encoded

    monkeypatch.chdir(tmp_path)
    Path("drawer.png").write_bytes(encoded((640, 480)))
    start = PAGE.index("```python", PAGE.index("## Write your own")) + len("```python")
    exec(compile(PAGE[start : PAGE.index("```", start)], "data.md", "exec"), {})  # noqa: S102
    assert open_dataset(Path("sets/mine")).sample("drawer-1").image_size == (640, 480)
