"""Files with one JSON object in each line."""

import pytest

from maniplvm.errors import UserError
from maniplvm.files import append_record, file_sizes, has_sizes, read_records, write_records


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "log.jsonl"
    for step in (1, 2, 3):
        append_record(path, {"step": step})
    return path


def test_records_are_read_as_they_were_appended(path):
    assert list(read_records(path)) == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_a_file_that_is_cut_anywhere_gives_its_whole_lines(path):
    content = path.read_bytes()
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        whole = content[:size].count(b"\n")
        assert [record["step"] for record in read_records(path)] == [1, 2, 3][:whole]


def test_a_missing_file_has_no_records(tmp_path):
    assert list(read_records(tmp_path / "none.jsonl")) == []


@pytest.mark.parametrize("line", ["{cut\n", "[1]\n", "\x00\x00\n"])
def test_a_damaged_line_is_named(path, line):
    path.write_text(path.read_text() + line + '{"step": 5}\n')
    with pytest.raises(UserError, match=r"log.jsonl, line 4: .*remove this line"):
        list(read_records(path))


def test_a_rewritten_file_has_the_same_bytes(path):
    content = path.read_bytes()
    write_records(path, list(read_records(path)))
    assert path.read_bytes() == content


def test_a_cut_or_missing_file_of_a_folder_is_noticed(path):
    folder = path.parent
    sizes = file_sizes(folder)
    assert has_sizes(folder, sizes)
    (folder / "other").write_text("does not matter")
    assert has_sizes(folder, sizes)
    path.write_bytes(path.read_bytes()[:-1])
    assert not has_sizes(folder, sizes)
    path.unlink()
    assert not has_sizes(folder, sizes)
