"""Writing a producer's identity into encoded record batches just before they are sent. Pure.

Sequences are given when a batch is sent, not when it is encoded, so that it can be given another one after an epoch
bump. The checksum covers these fields and is computed anew (some 50 us for a megabyte).
Source: record batch format v2; KIP-98. Tests: tests/core/client/test_stamping.py.
"""

import struct
from typing import Any

import crc32c

SEQUENCE_MODULUS = 1 << 31
TRANSACTIONAL_FLAG = 0x10
HEADER_BYTES = 61

_CRC_AT = 17
_ATTRIBUTES_AT = 21
_PRODUCER_AT = 43
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_PRODUCER = struct.Struct(">qhi")


def writable(data: Any) -> bytearray | memoryview:
    """`data` itself where it can be written to, else a copy."""
    view = memoryview(data)
    return bytearray(view) if view.readonly else data


def stamp(batch: bytearray | memoryview, producer_id: int, epoch: int, sequence: int, *, transactional: bool) -> None:
    """Write producer id, epoch and first sequence into a batch, in place, and its checksum."""
    assert len(batch) >= HEADER_BYTES
    assert 0 <= sequence < SEQUENCE_MODULUS
    _PRODUCER.pack_into(batch, _PRODUCER_AT, producer_id, epoch, sequence)
    if transactional:
        (attributes,) = _ATTRIBUTES.unpack_from(batch, _ATTRIBUTES_AT)
        _ATTRIBUTES.pack_into(batch, _ATTRIBUTES_AT, attributes | TRANSACTIONAL_FLAG)
    _CRC.pack_into(batch, _CRC_AT, crc32c.crc32c(memoryview(batch)[_ATTRIBUTES_AT:]))


def next_sequence(sequence: int, count: int) -> int:
    """The sequence after `count` records from `sequence` on; 0 follows 2**31 - 1."""
    return (sequence + count) % SEQUENCE_MODULUS
