"""How many partitions a Produce request names, told from its bytes: a million take two minutes and a gigabyte. Pure.

Source: ProduceRequest.json of Kafka 4.3.1, versions 3 to 13. Tested in tests/core/broker/test_produce_count.py.
"""

import struct

from ...wire.frames import decode_header
from ...wire.message import Buffer
from ...wire.primitives import read_uvarint

FLEXIBLE_SINCE, TOPIC_IDS_SINCE = 9, 13
ACKS_AND_TIMEOUT_BYTES = 6
INDEX_BYTES = 4
TOPIC_ID_BYTES = 16
_SHORT = struct.Struct(">h")
_INT = struct.Struct(">i")


def count_partitions(frame: Buffer, at_most: int) -> int:
    """The partitions of a whole frame, a topic without any counted as one; a number above `at_most` for any above it.

    Of a frame that is no Produce in a version that is served, those up to where that shows. Raises WireError where it
    has no header.
    """
    header, at = decode_header(frame)
    try:
        if header.api_version >= FLEXIBLE_SINCE:
            return _count_flexible(frame, at, at_most, named=header.api_version < TOPIC_IDS_SINCE)
        return _count_plain(frame, at, at_most)
    except (IndexError, struct.error):
        return 0  # Whoever decodes it says what is wrong.


def _count_flexible(frame: Buffer, at: int, at_most: int, *, named: bool) -> int:
    length, at = read_uvarint(frame, at)
    topics, at = read_uvarint(frame, at + max(length - 1, 0) + ACKS_AND_TIMEOUT_BYTES)
    found = 0
    for _ in range(topics - 1):
        length, at = read_uvarint(frame, at) if named else (TOPIC_ID_BYTES + 1, at)
        partitions, at = read_uvarint(frame, at + max(length - 1, 0))
        found += max(partitions - 1, 1)
        if found > at_most:
            return found
        for _ in range(partitions - 1):
            length, at = read_uvarint(frame, at + INDEX_BYTES)
            at = _behind_tags(frame, at + max(length - 1, 0))
        at = _behind_tags(frame, at)
    return found


def _behind_tags(frame: Buffer, at: int) -> int:
    count, at = read_uvarint(frame, at)
    for _ in range(count):
        _, at = read_uvarint(frame, at)
        length, at = read_uvarint(frame, at)
        at += length
    return at


def _count_plain(frame: Buffer, at: int, at_most: int) -> int:
    length: int
    topics: int
    partitions: int
    found = 0
    (length,) = _SHORT.unpack_from(frame, at)
    at += _SHORT.size + max(length, 0) + ACKS_AND_TIMEOUT_BYTES
    (topics,) = _INT.unpack_from(frame, at)
    at += _INT.size
    for _ in range(topics):
        (length,) = _SHORT.unpack_from(frame, at)
        at += _SHORT.size + max(length, 0)
        (partitions,) = _INT.unpack_from(frame, at)
        at += _INT.size
        found += max(partitions, 1)
        if found > at_most:
            return found
        for _ in range(partitions):
            (length,) = _INT.unpack_from(frame, at + INDEX_BYTES)
            at += INDEX_BYTES + _INT.size + max(length, 0)
    return found
