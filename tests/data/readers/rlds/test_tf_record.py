import gzip
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.data.readers.rlds.tf_example import (
    byte_strings,
    floats,
    parse_example,
)
from maniplvm.data.readers.rlds.tf_record import masked_crc32c, read_tf_records
from maniplvm.data.record_errors import ErrorCode, RecordError
from maniplvm.errors import UserError
from tests.data.readers.robot_data import delimited, example, feature, framed, masked, varint

WHOLE = framed(b"first") + framed(b"") + framed(b"third")


@pytest.fixture
def records(tmp_path):
    def read(content):
        path = tmp_path / "a.tfrecord"
        path.write_bytes(content)
        return list(read_tf_records(path))

    return read


def test_records_come_in_order_with_their_place(records):
    found = records(WHOLE)
    assert [(record.offset, record.data) for record in found] == [
        (0, b"first"),
        (21, b""),
        (37, b"third"),
    ]
    assert records(b"") == []


def test_a_truncation_is_an_error_unless_it_is_between_records(records):
    for end in range(1, len(WHOLE)):
        *_, last = records(WHOLE[:end])
        if end in (21, 37):
            assert last.error is None
        else:
            assert last.error.code is ErrorCode.DAMAGED_FILE
            assert f"the record at byte {last.offset} is" in last.error.detail
            assert f"the file ends at byte {end}" in last.error.detail


def test_a_changed_bit_anywhere_is_detected(records):
    for place in range(len(WHOLE)):
        changed = bytearray(WHOLE)
        changed[place] ^= 4
        found = records(bytes(changed))
        assert any(record.error for record in found)
        good = {record.data for record in found if record.error is None}
        assert good <= {b"first", b"", b"third"}


def test_after_bad_data_the_next_record_is_read(records):
    changed = bytearray(WHOLE)
    changed[13] ^= 1
    first, *others = records(bytes(changed))
    assert "the record at byte 0 has a wrong checksum" in first.error.detail
    assert [record.data for record in others] == [b"", b"third"]


def test_a_huge_length_takes_no_memory(records):
    head = (2**62).to_bytes(8, "little")
    (record,) = records(head + masked(head).to_bytes(4, "little"))
    assert "is 4611686018427387920 bytes long, but the file ends" in record.error.detail


@pytest.mark.parametrize(("pack", "kind"), [(gzip.compress, "gzip"), (zlib.compress, "ZLIB")])
def test_a_compressed_file_is_reported_as_compressed(records, pack, kind):
    (record,) = records(pack(WHOLE))
    assert f"is compressed ({kind}); only uncompressed TFRecord files" in record.error.detail


def test_a_file_of_another_format_is_not_a_tfrecord_file(records):
    (record,) = records(b"just some text, longer than a head")
    assert "is not a TFRecord file: the length at byte 0" in record.error.detail


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"gone.tfrecord cannot be read \(No such file"):
        list(read_tf_records(tmp_path / "gone.tfrecord"))


def test_an_example_is_parsed_to_named_lists():
    found = parse_example(
        example({"a/b": [b"x", b""], "n": [1, 0, -3, 2**62], "f": [0.5, -2.0], "none": [b""][:0]})
    )
    assert list(found) == ["a/b", "n", "f", "none"]
    assert [bytes(part) for part in byte_strings(found["a/b"], "a/b")] == [b"x", b""]
    with pytest.raises(RecordError, match="'n' needs floats, but holds integers"):
        floats(found["n"], "n")
    assert floats(found["f"], "f").tolist() == [0.5, -2.0]
    assert byte_strings(found["none"], "none") == []


def test_unpacked_numbers_are_read():
    unpacked = memoryview(feature([5.0, -6.5, 700.0], packed=False))
    assert floats(unpacked, "f").tolist() == [5, -6.5, 700]


def test_unknown_fields_are_skipped():
    extra = varint(9 << 3) + varint(7) + varint(10 << 3 | 1) + bytes(8) + delimited(11, b"?")
    assert list(parse_example(extra + example({"a": [1]}) + extra)) == ["a"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\xff\xff",
        b"\x0a\x05ab",
        b"\x0b",
        b"\xff" * 12,
        b"\x08\x01",
        b"\x09abc",
        delimited(1, delimited(1, delimited(1, b"\xff"))),
    ],
)
def test_bytes_that_are_not_an_example_are_refused(data):
    with pytest.raises(RecordError, match=r"not a tf.train.Example") as caught:
        parse_example(data)
    assert caught.value.code is ErrorCode.DAMAGED_FILE


def test_floats_of_a_wrong_length_are_refused():
    with pytest.raises(RecordError, match="'f' holds floats of the wrong length"):
        floats(memoryview(delimited(2, delimited(1, b"abcde"))), "f")


def code_of(read, *arguments):
    """The error code of refused bytes, or None."""
    try:
        read(*arguments)
    except RecordError as error:
        return error.code
    return None


@given(st.binary(max_size=60))
def test_any_bytes_give_lists_or_a_clear_error(data):
    assert code_of(parse_example, data) in (None, ErrorCode.DAMAGED_FILE)
    for read in (byte_strings, floats):
        code = code_of(read, memoryview(data), "x")
        assert code in (None, ErrorCode.DAMAGED_FILE, ErrorCode.WRONG_TYPE)


def unmasked(checksum):
    """The CRC-32C inside a stored checksum."""
    rotated = (checksum - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksums_of_rfc_3720_are_reproduced(data, expected):
    assert unmasked(masked_crc32c(data)) == expected


@given(st.binary(max_size=300))
def test_the_checksum_equals_its_definition_bit_by_bit(data):
    assert masked_crc32c(data) == masked(data)


@pytest.mark.parametrize("size", [1023, 1024, 4097, 70_001])
def test_the_checksum_of_long_data_equals_its_definition(size):
    data = np.random.default_rng(size).bytes(size)
    assert masked_crc32c(data) == masked(data)
    assert masked_crc32c(data[:-1] + bytes([data[-1] ^ 1])) != masked_crc32c(data)


def test_a_missing_checksum_package_is_named_with_its_extra(records, monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(UserError, match=r"need google-crc32c .*maniplvm\[data\]"):
        records(WHOLE)
