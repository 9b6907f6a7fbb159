"""The MATLAB reader, compared with scipy and tested with hostile files."""

import io
import re
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from maniplvm.data.readers.umd import matlab
from maniplvm.data.readers.umd.matlab import read_matrix
from maniplvm.data.record_errors import ErrorCode, RecordError

LABEL = np.arange(12, dtype=np.uint8).reshape(3, 4) % 8


def saved(compressed=True, **variables) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=compressed)
    return buffer.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(data: bytes):
        path = tmp_path / "a_label.mat"
        path.write_bytes(data)
        return path

    return write


def refused(path, name="gt_label") -> RecordError:
    with pytest.raises(RecordError) as error:
        read_matrix(path, name)
    assert str(path) in error.value.detail
    return error.value


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    "kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "bool"]
)
@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (1, 5), (480, 640), (2, 3, 7)])
def test_a_matrix_is_read_as_scipy_reads_it(file, compressed, kind, shape):
    values = np.random.default_rng(0).integers(0, 8, shape).astype(kind)
    path = file(saved(compressed, first="a text", gt_label=values, last=LABEL))
    found = read_matrix(path, "gt_label")
    assert np.array_equal(found, loadmat(path)["gt_label"])
    assert np.array_equal(found, values)


def test_the_other_byte_order_is_read_too(file):
    def element(kind, data):
        return struct.pack(">II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    body = element(6, struct.pack(">II", 9, 0)) + element(5, struct.pack(">ii", 3, 4))
    body += element(1, b"gt_label") + element(4, LABEL.astype(">u2").tobytes(order="F"))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    assert np.array_equal(read_matrix(file(header + element(14, body)), "gt_label"), LABEL)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", ErrorCode.DAMAGED_FILE, "not those of version 5"),
        (b"\x89PNG" * 100, ErrorCode.DAMAGED_FILE, "not those of version 5"),
        (b"MATLAB 7.3 MAT-file".ljust(600), ErrorCode.DAMAGED_FILE, "7.3 .HDF5.; save it with -v7"),
        (saved(gt_label=LABEL)[:-9], ErrorCode.DAMAGED_FILE, "ends inside an element"),
        (saved(gt_label=LABEL)[:130], ErrorCode.DAMAGED_FILE, "ends inside an element"),
        (saved(False, gt_label=LABEL)[:-9], ErrorCode.DAMAGED_FILE, "ends inside an element"),
        (
            saved(other=LABEL, more=LABEL),
            ErrorCode.MISSING_KEY,
            "no variable 'gt_label'; found 'other'",
        ),
        (saved(), ErrorCode.MISSING_KEY, "found nothing"),
        (saved(gt_label="a text"), ErrorCode.WRONG_TYPE, "'gt_label' as text"),
        (saved(gt_label={"a": 1}), ErrorCode.WRONG_TYPE, "as struct"),
        (saved(gt_label=np.array([1, "a"], object)), ErrorCode.WRONG_TYPE, "as cell"),
        (saved(gt_label=LABEL * 1j), ErrorCode.WRONG_TYPE, "as complex"),
    ],
)
def test_a_file_that_cannot_be_read_gives_one_clear_line(file, data, code, words):
    error = refused(file(data))
    assert error.code is code
    assert re.search(words, error.detail)


def test_a_missing_file_is_reported_as_missing(tmp_path):
    assert refused(tmp_path / "gone.mat").code is ErrorCode.MISSING_FILE
    assert refused(tmp_path).code is ErrorCode.DAMAGED_FILE


def test_a_bomb_is_not_decompressed(file, monkeypatch):
    monkeypatch.setattr(matlab, "MAX_VARIABLE_BYTES", 10_000)
    bomb = zlib.compress(struct.pack("<II", 14, 2**31 - 16) + b"\0" * 10_000_000)
    header = saved()[:128]
    error = refused(file(header + struct.pack("<II", 15, len(bomb)) + bomb))
    assert error.code is ErrorCode.DAMAGED_FILE
    assert "a variable of more than" in error.detail


def test_a_wrong_shape_is_refused(file):
    data = saved(False, gt_label=LABEL)
    lie = data.replace(struct.pack("<iiii", 5, 8, 3, 4), struct.pack("<iiii", 5, 8, 2**31 - 1, 4))
    assert lie != data
    assert "12 values for the shape (2147483647, 4)" in refused(file(lie)).detail


def test_a_file_that_is_too_large_is_not_read(file, monkeypatch):
    monkeypatch.setattr(matlab, "MAX_FILE_BYTES", 100)
    assert "larger than" in refused(file(saved(gt_label=LABEL))).detail


GOOD = [saved(compressed, gt_label=LABEL, other=LABEL) for compressed in (True, False)]


@given(data=st.data())
def test_any_bytes_give_a_matrix_or_a_record_error(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(124, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.getbasetemp() / "hostile.mat"
    path.write_bytes(bytes(content[: cut if cut > 100 else len(content)]))
    with suppress(RecordError):
        assert read_matrix(path, "gt_label").size <= 12
