import json

import pytest

from maniplvm.data.readers import FORMATS, find_format
from maniplvm.data.readers._json import json_records
from maniplvm.data.readers._json_record import Record
from maniplvm.data.record_errors import BadRecord, Cause
from maniplvm.errors import UserError


def good(path, images=None):
    """The records of a source, none of which is bad."""
    found = list(json_records(path, images))
    assert all(isinstance(record, Record) for record in found)
    return [record for record in found if isinstance(record, Record)]


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(UserError, match=r"unknown format 'coco'; choose from sharerobot, maniplvm"):
        find_format("coco")
    assert [find_format(name).name for name in FORMATS] == list(FORMATS)


def test_lines_and_lists_hold_the_same_records(records):
    values = [{"id": 1}, {"id": 2}]
    listed = [record.fields for record in good(records(*values))]
    lines = [record.fields for record in good(records(*values, name="r.jsonl"))]
    assert listed == lines == values


def test_blank_lines_are_passed_over_and_a_byte_order_mark_too(tmp_path):
    (tmp_path / "r.jsonl").write_text('\ufeff{"id": 1}\n\n  \n{"id": 2}\n', encoding="utf-8")
    found = good(tmp_path / "r.jsonl")
    assert [(r.place, r.fields["id"]) for r in found] == [("line 1", 1), ("line 4", 2)]


@pytest.mark.parametrize("line", ["{", "nonsense", "[" * 100_000])
def test_a_line_that_is_not_json_is_one_bad_record(tmp_path, line):
    (tmp_path / "r.jsonl").write_text(f'{{"id": 1}}\n{line}\n{{"id": 2}}\n')
    first, bad, last = json_records(tmp_path / "r.jsonl", None)
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert (first.fields["id"], last.fields["id"]) == (1, 2)
    assert isinstance(bad, BadRecord)
    assert (bad.cause, bad.place, bad.id) == (Cause.NOT_JSON, "line 2", None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": 1}\n{"id": 2}', r"not JSON \(Extra data.*belongs in a .jsonl file"),
        (b"", r"r.json: not JSON"),
        (b'{"id": 1}', r"expected a list of records, got dict"),
        (b"[" * 100_000, r"nested too deeply"),
        (b'["\xff"]', r"r.json: not UTF-8 text \(invalid start byte\)"),
    ],
)
def test_a_file_that_is_no_list_of_records_is_one_clear_line(tmp_path, content, message):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(json_records(tmp_path / "r.json", None))


def test_bytes_that_are_no_text_are_found_in_lines_too(tmp_path):
    (tmp_path / "r.jsonl").write_bytes(b'{"id": 1}\n\xff\n')
    with pytest.raises(UserError, match="not UTF-8 text"):
        list(json_records(tmp_path / "r.jsonl", None))


def test_missing_sources_and_image_folders_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"gone: no such file or folder"):
        list(json_records(tmp_path / "gone", None))
    with pytest.raises(UserError, match=r"a.txt: expected a .json or .jsonl file"):
        list(json_records(tmp_path / "a.txt", None))
    with pytest.raises(UserError, match=r"gone: no such image folder"):
        list(json_records(tmp_path, tmp_path / "gone"))
    with pytest.raises(UserError, match=r"holds no .json or .jsonl file \(found: none at all\)"):
        list(json_records(tmp_path, None))
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(UserError, match=r"file named after affordance \(found: b.json\)"):
        list(json_records(tmp_path, None, ("affordance",)))


def test_a_folder_is_read_in_the_order_of_names_with_its_own_images(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "r.json").write_text(json.dumps([{"id": name}]))
    (tmp_path / "c.json").write_text('[{"id": "c"}]')
    found = good(tmp_path)
    assert [record.file.name for record in found] == ["a/r.json", "b/r.json", "c.json"]
    roots = [tmp_path / "a" / "images", tmp_path / "b" / "images", tmp_path]
    assert [record.file.image_root for record in found] == roots
    given = good(tmp_path, tmp_path / "a")
    assert {record.file.image_root for record in given} == {tmp_path / "a"}
