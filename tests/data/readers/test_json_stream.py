import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.data.readers import _json_stream as json_stream
from maniplvm.data.readers._json_stream import NotAListError, stream_list

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Counting(io.StringIO):
    """A text that knows how far it was read."""

    @property
    def used(self) -> int:
        return self.tell()


@given(items=st.lists(VALUES, max_size=6), indent=st.none() | st.integers(0, 3))
@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_any_list_is_read_as_json_reads_it_whatever_the_chunk(chunk, items, indent):
    before = json_stream.CHUNK
    json_stream.CHUNK = chunk
    try:
        assert list(stream_list(io.StringIO(json.dumps(items, indent=indent)))) == items
    finally:
        json_stream.CHUNK = before


def test_a_long_file_is_not_read_before_its_first_items_are_used():
    item = {"id": 1, "text": "x" * 1000}
    stream = Counting(json.dumps([item] * 5000))
    items = stream_list(stream)
    assert next(items) == item
    assert stream.used <= 2 * json_stream.CHUNK < len(stream.getvalue())


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
def test_a_broken_list_gives_what_stands_before_the_fault(text, before, message):
    items = stream_list(io.StringIO(text))
    assert [next(items) for _ in before] == before
    with pytest.raises(json.JSONDecodeError, match=message):
        next(items)


def test_another_value_is_no_list():
    with pytest.raises(NotAListError) as error:
        list(stream_list(io.StringIO(' {"a": 1}')))
    assert error.value.value == {"a": 1}


def test_an_endless_item_is_given_up(monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 10)
    monkeypatch.setattr(json_stream, "MAX_ITEM", 100)
    stream = Counting('["' + "x" * 100_000)
    with pytest.raises(json.JSONDecodeError, match="no end of it in 100 characters"):
        list(stream_list(stream))
    assert stream.used < 1000
