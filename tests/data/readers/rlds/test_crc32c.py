import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maniplvm.data.readers.rlds.crc32c import crc32c, masked_crc32c
from tests.data.readers.robot_data import masked, slow_crc32c


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
def test_the_published_checksums_come_out(data, expected):
    assert crc32c(data) == expected


@given(st.binary(max_size=300))
def test_it_equals_the_definition_bit_by_bit(data):
    assert crc32c(data) == slow_crc32c(data)
    assert masked_crc32c(data) == masked(data)


@pytest.mark.parametrize("size", [1023, 1024, 4097, 70_001])
def test_long_texts_are_cut_into_lanes_without_a_seam(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == slow_crc32c(data)
    assert crc32c(memoryview(data)) == crc32c(data)
    assert crc32c(data[:-1] + bytes([data[-1] ^ 1])) != crc32c(data)
