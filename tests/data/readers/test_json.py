"""The JSON reader: which files it reads, their records, and lists that are streamed."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.data.importing import read_records
from maniplvm.data.readers import FORMATS, _json_stream, find_format
from maniplvm.data.readers._json import Record, json_records, unique_stems
from maniplvm.data.readers._json_stream import BadItem, NotAListError, stream_list
from maniplvm.data.record_errors import BadRecord, ErrorCode
from maniplvm.errors import UserError
from tests.data.conftest import encoded

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Counting(io.StringIO):
    """A text stream that counts the characters read."""

    @property
    def used(self) -> int:
        return self.tell()


def good(path, images=None):
    """The records of a source without bad records."""
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


def test_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path):
    (tmp_path / "r.jsonl").write_text('\ufeff{"id": 1}\n\n  \n{"id": 2}\n', encoding="utf-8")
    found = good(tmp_path / "r.jsonl")
    assert [(r.place, r.fields["id"]) for r in found] == [("line 1", 1), ("line 4", 2)]


@pytest.mark.parametrize("line", ["{", "nonsense", "[" * 100_000, "1" * 5000])
def test_a_line_that_is_not_json_is_one_bad_record(tmp_path, line):
    (tmp_path / "r.jsonl").write_text(f'{{"id": 1}}\n{line}\n{{"id": 2}}\n')
    first, bad, last = json_records(tmp_path / "r.jsonl", None)
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert (first.fields["id"], last.fields["id"]) == (1, 2)
    assert isinstance(bad, BadRecord)
    assert (bad.code, bad.place, bad.id) == (ErrorCode.NOT_JSON, "line 2", None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": 1}\n{"id": 2}', r"not JSON \(Extra data.*belongs in a .jsonl file"),
        (b"", r"r.json: not JSON"),
        (b'{"id": 1}', r"expected a list of records, got dict"),
        (
            b'[{"id": 1}, {"id": 2}, nonsense]',
            r"Expecting value, in or after record 1, character 23",
        ),
        (b"1" * 5000, r"not JSON \(an integer has 5,000 digits"),
        (b"[" * 100_000, r"not JSON \(nested too deeply, and not closed"),
        ('[{"id": 1}]'.encode("utf-16"), r"r.json: is UTF-16 or UTF-32 text; convert it"),
        ('[{"id": 1}]'.encode("utf-16-le"), r"r.json: is UTF-16 or UTF-32 text; convert it"),
        ('[{"id": 1}]'.encode("utf-16-be"), r"r.json: is UTF-16 or UTF-32 text; convert it"),
    ],
)
def test_a_file_that_is_not_a_list_of_records_gives_one_clear_line(tmp_path, content, message):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(json_records(tmp_path / "r.json", None))


DEEP = "[" * 100_000 + "]" * 100_000
GOOD = {
    "task": "affordance",
    "instruction": "open the drawer",
    "image": "a.png",
    "box": [1, 2, 30, 40],
}


def altered(old, new):
    """The JSON of the good record with id 1 after a change of its text."""
    text = json.dumps({"id": "1", **GOOD, "provenance": {"date": "2024-13-45", "note": 7}})
    assert old in text
    return text.replace(old, new)


ODD_RECORDS = [
    (altered("30", "1" * 5000), "an integer has 5,000 digits; at most 4,000 are read"),
    (altered("7", "1" * 5000), "an integer has 5,000 digits"),
    (altered("30", "1" * 4000), "number not finite"),
    (altered("30", "NaN"), "number not finite: box holds float nan"),
    (altered("30", "-Infinity"), "number not finite: box holds float -inf"),
    (altered("7", "NaN"), "the provenance cannot be stored as JSON"),
    (altered('"1"', '"\\ud800"'), "'id' holds invalid Unicode"),
    (altered("drawer", "\\udcff"), "'instruction' holds invalid Unicode"),
    (altered("drawer", "\udcff"), "'instruction' holds invalid Unicode"),
    (altered("7", '"\\ud800"'), "provenance holds a character that is not valid Unicode"),
    (altered("a.png", "\\ud800.png"), "'image' holds invalid Unicode"),
    (altered('"provenance"', '"\\ud800"'), "unknown key"),
    (altered('"box"', '"box": [5, 6, 7, 8], "box"'), "the key 'box' occurs twice in one object"),
    (altered("7", '{"a": 1, "a": 2}'), "the key 'a' occurs twice"),
    (altered("7", DEEP), "nested too deeply"),
    (altered("[1, 2, 30, 40]", DEEP), "nested too deeply"),
    (altered("7", '{"a":' * 100_000 + '"[{\\""' + "}" * 100_000), "nested too deeply"),
    *((altered("7", "[" * n + "]" * n), "") for n in (500, 950, 980, 990, 1000)),
    *((altered("[1, 2, 30, 40]", "[" * n + "]" * n), "") for n in (500, 950, 980, 990, 1000)),
    (altered("a.png", "x" * 5000), "missing image"),
    (DEEP, "nested too deeply"),
    ("1" * 5000, "an integer has 5,000 digits"),
    ('"\udcff"', "a record is an object, got str"),
]


@pytest.fixture
def odd_source(tmp_path):
    """Write one odd record between two good ones."""
    (tmp_path / "a.png").write_bytes(encoded())

    def write(odd, suffix):
        before, after = (json.dumps({"id": name, **GOOD}) for name in ("before", "after"))
        lines = [before, odd, after]
        text = "[" + ",\n".join(lines) + "]" if suffix == ".json" else "\n".join(lines)
        path = tmp_path / f"r{suffix}"
        path.write_bytes(text.encode(errors="surrogateescape"))
        return path

    return write


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize(("odd", "words"), ODD_RECORDS, ids=range(len(ODD_RECORDS)))
def test_an_odd_record_is_one_line_with_its_place_and_costs_only_itself(
    odd_source, odd, words, suffix
):
    source, skipped = odd_source(odd, suffix), []
    samples = list(read_records("jsonl", source, on_bad=skipped.append))
    ids = [sample.id for sample in samples]
    if not words and not skipped:  # nested as deeply as this interpreter still reads
        assert ids == ["before", "1", "after"]
        return
    assert ids == ["before", "after"]
    (bad,) = skipped
    assert bad.place == ("record 1" if suffix == ".json" else "line 2")
    assert words in str(bad)
    assert len(str(bad)) <= 1000
    with pytest.raises(UserError, match="--skip-bad"):
        list(read_records("jsonl", source))


def test_a_date_that_does_not_exist_is_only_a_string_of_the_provenance(odd_source):
    source = odd_source(altered("7", "8"), ".json")
    provenance = [sample.provenance for sample in read_records("jsonl", source)][1]
    assert (provenance["date"], provenance["note"]) == ("2024-13-45", 8)


def test_the_id_of_a_bad_record_is_printed_without_control_characters(odd_source):
    source, skipped = odd_source(altered('"1"', '"\\u001b[31m\\u0000"'), ".json"), []
    source.write_text(source.read_text().replace('30, 40], "prov', '0, 40], "prov'))
    list(read_records("jsonl", source, on_bad=skipped.append))
    assert ["(id \\x1b[31m\\x00)" in str(bad) for bad in skipped] == [True]


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_bad_items_are_found_for_every_chunk_size(monkeypatch, chunk):
    monkeypatch.setattr(_json_stream, "CHUNK_SIZE", chunk)
    deep = "[" * 20_000 + '"]]\\""' + "]" * 20_000
    text = '[1, {"a": 1, "a": 2}, ' + deep + ", " + "7" * 4001 + ', {"b": [2]}]'
    first, *bad, last = stream_list(io.StringIO(text))
    assert (first, last) == (1, {"b": [2]})
    assert [type(each) for each in bad] == [BadItem] * 3
    assert [each.reason.split()[0] for each in bad] == ["the", "nested", "an"]


def test_missing_sources_and_image_folders_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"gone: no such file or folder"):
        list(json_records(tmp_path / "gone", None))
    with pytest.raises(UserError, match=r"a.txt: expected a .json or .jsonl file"):
        list(json_records(tmp_path / "a.txt", None))
    with pytest.raises(UserError, match=r"gone: no such image folder"):
        list(json_records(tmp_path, tmp_path / "gone"))
    with pytest.raises(UserError, match=r"holds no .json or .jsonl file \(found: none\)"):
        list(json_records(tmp_path, None))
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(UserError, match=r"file with affordance in its name \(found: b.json\)"):
        list(json_records(tmp_path, None, ("affordance",)))


def test_a_folder_is_read_in_the_order_of_names_and_each_file_has_its_own_images(tmp_path):
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


@given(items=st.lists(VALUES, max_size=6), indent=st.none() | st.integers(0, 3))
@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_streaming_a_list_equals_json_loads_for_every_chunk_size(chunk, items, indent):
    before = _json_stream.CHUNK_SIZE
    _json_stream.CHUNK_SIZE = chunk
    try:
        assert list(stream_list(io.StringIO(json.dumps(items, indent=indent)))) == items
    finally:
        _json_stream.CHUNK_SIZE = before


def test_a_long_file_is_read_only_as_far_as_its_items_are_used():
    item = {"id": 1, "text": "x" * 1000}
    stream = Counting(json.dumps([item] * 5000))
    items = stream_list(stream)
    assert next(items) == item
    assert stream.used <= 2 * _json_stream.CHUNK_SIZE < len(stream.getvalue())


@pytest.mark.parametrize(
    ("text", "before", "message"),
    [
        ("[1, 2", [1, 2], "Expecting ',' delimiter"),
        ("[1 2]", [1], "Expecting ',' delimiter"),
        ('[1, {"a": ', [1], "Expecting value"),
        ("[1, ]", [1], "Expecting value"),
        ("[1] [2]", [1], "Extra data"),
        ("[", [], "Expecting value"),
        ("", [], "Expecting value"),
    ],
)
def test_a_damaged_list_gives_the_items_before_the_error(text, before, message):
    items = stream_list(io.StringIO(text))
    assert [next(items) for _ in before] == before
    with pytest.raises(json.JSONDecodeError, match=message):
        next(items)


def test_a_json_value_that_is_not_a_list_is_refused():
    with pytest.raises(NotAListError) as error:
        list(stream_list(io.StringIO(' {"a": 1}')))
    assert error.value.value == {"a": 1}


def test_an_item_over_the_length_limit_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(_json_stream, "CHUNK_SIZE", 10)
    monkeypatch.setattr(_json_stream, "MAX_ITEM_LENGTH", 100)
    stream = Counting('["' + "x" * 100_000)
    with pytest.raises(json.JSONDecodeError, match="an item is longer than 100 characters"):
        list(stream_list(stream))
    assert stream.used < 1000


@pytest.mark.parametrize("chunk", [1, 5, 4096])
def test_an_error_has_its_position_in_the_file_for_every_chunk_size(monkeypatch, chunk):
    monkeypatch.setattr(_json_stream, "CHUNK_SIZE", chunk)
    text = json.dumps([{"id": number} for number in range(20)])[:-1] + ", nonsense]"
    with pytest.raises(json.JSONDecodeError) as error:
        list(stream_list(io.StringIO(text)))
    assert error.value.pos == text.index("nonsense")


def test_a_value_over_the_length_limit_that_is_not_a_list_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(_json_stream, "CHUNK_SIZE", 10)
    monkeypatch.setattr(_json_stream, "MAX_ITEM_LENGTH", 100)
    stream = Counting('{"a": "' + "x" * 100_000)
    with pytest.raises(json.JSONDecodeError, match="an item is longer than 100 characters"):
        list(stream_list(stream))
    assert stream.used < 1000


def test_files_whose_stems_would_be_equal_get_different_ids():
    names = ["a/b.json", "a-b.json", "c/d.json", "a-b.jsonl", "e.json"]
    stems = unique_stems(names)
    assert stems[2] == "c-d"
    assert stems[4] == "e"
    assert len(set(stems)) == len(names)
    assert [stem[:4] for stem in (stems[0], stems[1], stems[3])] == ["a-b-"] * 3
    assert unique_stems(names[:1]) == ["a-b"]


def test_no_record_is_lost_to_a_file_of_a_similar_name(tmp_path):
    fields = {"instruction": "open", "image_path": "1.png", "affordance": [1, 2, 30, 40]}
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(encoded())
    (tmp_path / "a").mkdir()
    for name in ("a/affordance.json", "a-affordance.json"):
        (tmp_path / name).write_text(json.dumps([fields]))
    samples = list(read_records("sharerobot", tmp_path, images=tmp_path / "images"))
    assert len({sample.id for sample in samples}) == 2
