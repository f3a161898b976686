"""The first record of a batch that is not older than a time, without decoding the others. Pure.

A batch of some kilobytes may hold millions of records, so each is stepped over as bytes.
Source: DefaultRecordBatch of Kafka 4.3.1. Tested in tests/core/wire/test_record_times.py.
"""

from ..errors import CorruptRecords
from .batches import CODEC_MASK, HEADER_BYTES, LOG_APPEND_TIME, read_header
from .decompression import decompress
from .message import Buffer

NUMBER_BITS = 70
"""Of a variable-length number, in groups of seven."""

ANY_TIME = -(1 << 64)


def first_record_not_older(
    batch: Buffer, timestamp_ms: int, from_offset: int, *, max_bytes: int
) -> tuple[int, int] | None:
    """Offset and time of the first record from `from_offset` on with that time or a later one.

    Raises CorruptRecords where the records up to it are not what the header says; TooLarge, which is one, where they
    decompress to more than max_bytes.
    """
    header = read_header(batch)
    body = memoryview(batch)[HEADER_BYTES : header.size_bytes]
    codec = header.attributes & CODEC_MASK
    data = decompress(codec, body, max_bytes) if codec else body
    stamped = header.attributes & LOG_APPEND_TIME
    if stamped and header.max_timestamp < timestamp_ms:
        return None
    wanted = ANY_TIME if stamped else timestamp_ms - header.base_timestamp
    try:
        found = _first(bytes(data), header.count, wanted, from_offset - header.base_offset)
    except IndexError as error:
        raise CorruptRecords(f"the records of the batch at offset {header.base_offset} end too early") from error
    if found is None:
        return None
    offset_delta, time_delta = found
    return header.base_offset + offset_delta, header.max_timestamp if stamped else header.base_timestamp + time_delta


def _first(data: bytes, count: int, wanted: int, first_delta: int) -> tuple[int, int] | None:
    """Offset and time of a record, as distances. A record: length, attributes, time, offset, ...; zigzag varints."""
    at, size = 0, len(data)
    for index in range(count):
        length, body = _varint(data, at)
        at = body + length
        if length < 0 or at > size:
            raise CorruptRecords(f"record {index} of a batch has {length} bytes where {size - body} are left")
        time_delta = data[body + 1]
        if time_delta < 128:
            time_delta = (time_delta >> 1) ^ -(time_delta & 1)
            time_end = body + 2
        else:
            time_delta, time_end = _varint(data, body + 1)
        if time_delta >= wanted:
            offset_delta, _ = _varint(data, time_end)
            if offset_delta >= first_delta:
                return offset_delta, time_delta
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = data[at]
    at += 1
    if value > 0x7F:
        value &= 0x7F
        shift = 7
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 128:
                break
            shift += 7
            if shift >= NUMBER_BITS:
                raise CorruptRecords("a number in a record has more than 64 bits")
    return (value >> 1) ^ -(value & 1), at
