"""CRC-32C (Castagnoli) of long byte strings at NumPy's speed.

The checksum's register is linear in its input: the register after a long text is that of its parts,
each moved on by the bytes behind it, added up (exclusive or). So the text is cut into equal lanes that
advance side by side, four bytes a step, and the lanes' registers are then joined in pairs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

_REFLECTED_POLYNOMIAL = 0x82F63B78
_WORD = 4
_SHORTEST_LANE, _LONGEST_LANE = 4, 1024
_ONES = 0xFFFFFFFF
_MASK_SHIFT, _MASK_DELTA = 15, 0xA282EAD8


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of a byte string (RFC 3720, appendix B.4), 0 to 2**32 - 1."""
    text = np.frombuffer(data, dtype=np.uint8)
    register = _moved(_ONES, len(text)) ^ _joined(text)
    return register ^ _ONES


def masked_crc32c(data: bytes | memoryview) -> int:
    """The CRC as TFRecord files store it: rotated and shifted by a constant."""
    crc = crc32c(data)
    rotated = (crc >> _MASK_SHIFT | crc << (32 - _MASK_SHIFT)) & _ONES
    return (rotated + _MASK_DELTA) & _ONES


def _joined(text: NDArray[np.uint8]) -> int:
    """The register that starts at 0; zeros put before the text do not change it."""
    if not len(text):
        return 0
    lane = _SHORTEST_LANE
    while lane < _LONGEST_LANE and lane * lane < len(text):
        lane *= 2
    lanes = 1 << (-(-len(text) // lane) - 1).bit_length()
    padded = np.zeros(lanes * lane, dtype=np.uint8)
    padded[len(padded) - len(text) :] = text
    words = np.ascontiguousarray(padded.view("<u4").reshape(lanes, lane // _WORD).T)
    registers = np.zeros(lanes, dtype=np.uint32)
    step = _tables(_WORD.bit_length() - 1)
    for row in words:
        registers = _apply(step, registers ^ row)
    power = lane.bit_length() - 1
    while len(registers) > 1:
        registers = _apply(_tables(power), registers[0::2]) ^ registers[1::2]
        power += 1
    return int(registers[0])


def _moved(register: int, count: int) -> int:
    """A register after `count` further zero bytes."""
    moved, power = np.array([register], dtype=np.uint32), 0
    while count >> power:
        if count >> power & 1:
            moved = _apply(_tables(power), moved)
        power += 1
    return int(moved[0])


def _apply(tables: Words, registers: Words) -> Words:
    halves = np.ascontiguousarray(registers, dtype="<u4").view("<u2")
    return tables[0].take(halves[0::2]) ^ tables[1].take(halves[1::2])


@lru_cache(maxsize=64)
def _tables(power: int) -> Words:
    """`(2, 65536)`: what the low and the high half of a register become after 2**power zeros."""
    if power:
        before = _tables(power - 1)
        return np.stack([_apply(before, half) for half in before])
    halves = np.arange(1 << 16, dtype=np.uint32)
    low = halves
    for _ in range(8):
        low = np.where(low & 1, low >> 1 ^ np.uint32(_REFLECTED_POLYNOMIAL), low >> 1)
    return np.stack([low, halves << np.uint32(8)]).astype(np.uint32)
