"""Record batches of format v2: headers, checks, in-place stamping, and small batches in plain Python. Pure.

All that broker, log and coordinators need of the format. Records are decoded by read_records only, which is for
coordinators, compaction and tests; columns come from core.records.
Source: DefaultRecordBatch, DefaultRecord and EndTransactionMarker of Kafka 4.3.1.
Tested in tests/core/wire/test_batches.py.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from crc32c import crc32c

from ..errors import CorruptRecords
from .decompression import CODEC_NAMES, decompress
from .primitives import Buffer

HEADER_BYTES = 61
LOG_OVERHEAD = 12
"""Bytes before the ones that a batch's length counts."""
MAGIC = 2
NO_PRODUCER_ID = -1
NO_SEQUENCE = -1
MAX_DECOMPRESSED_BYTES = 256 * 1024 * 1024

CODEC_MASK = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20

ABORT_MARKER, COMMIT_MARKER = 0, 1

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_AT = 17
_CHECKED_AT = 21
_OFFSET = struct.Struct(">q")
_INT = struct.Struct(">i")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_MAX_TIMESTAMP_AT = 35
_MARKER_KEY = struct.Struct(">hh")
_MARKER_VALUE = struct.Struct(">hi")
_SMALLEST_RECORD = 7
_unpack_header = _HEADER.unpack_from
_new: Any = object.__new__


class SimpleRecord(NamedTuple):
    """One record. `offset` is absolute, `timestamp_ms` since the Unix epoch; headers are (key, value) in order."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(slots=True)
class BatchHeader:
    """The 61 bytes before a batch's records."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int

    @property
    def codec(self) -> str:
        """Name of the codec, or "codec 5" and the like for one that Kafka does not have."""
        number = self.attributes & CODEC_MASK
        return CODEC_NAMES[number] if number < len(CODEC_NAMES) else f"codec {number}"

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL != 0

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & LOG_APPEND_TIME != 0

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record; sequences go on at 0 after 2^31 - 1. -1 for a batch without sequences."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return (self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole batch."""
        return self.length + LOG_OVERHEAD


def read_header(buf: Buffer, at: int = 0) -> BatchHeader:
    """The header that begins at `at`, unchecked. Raises CorruptRecords if fewer than 61 bytes are there."""
    header: BatchHeader = _new(BatchHeader)
    try:
        (
            header.base_offset,
            header.length,
            header.leader_epoch,
            header.magic,
            header.crc,
            header.attributes,
            header.last_offset_delta,
            header.base_timestamp,
            header.max_timestamp,
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.count,
        ) = _unpack_header(buf, at)
    except struct.error as error:
        raise CorruptRecords(f"a batch at byte {at} of {len(buf)} is too short for its header") from error
    return header


def check_batch(buf: Buffer, at: int = 0) -> BatchHeader:
    """The header at `at` of a batch that is whole and undamaged. Raises CorruptRecords otherwise.

    Base offset, length, leader epoch and magic are not under the checksum.
    """
    header = _whole_header(buf, at)
    crc = crc32c(memoryview(buf)[at + _CHECKED_AT : at + header.length + LOG_OVERHEAD])
    if crc != header.crc:
        raise CorruptRecords(
            f"the batch at byte {at} with base offset {header.base_offset} has checksum {crc:#010x}; "
            f"{header.crc:#010x} is written"
        )
    return header


def _whole_header(buf: Buffer, at: int) -> BatchHeader:
    header = read_header(buf, at)
    if header.magic != MAGIC:
        raise CorruptRecords(f"the batch at byte {at} has magic {header.magic}; only {MAGIC} is known")
    if not HEADER_BYTES - LOG_OVERHEAD <= header.length <= len(buf) - at - LOG_OVERHEAD:
        raise CorruptRecords(
            f"the batch at byte {at} has length {header.length}; from {HEADER_BYTES - LOG_OVERHEAD} to "
            f"{len(buf) - at - LOG_OVERHEAD} is possible there"
        )
    return header


def iter_batches(buf: Buffer, at: int = 0) -> Iterator[BatchHeader]:
    """Headers of the batches that lie end to end from `at`. A last one that is cut off is left out.

    Checksums are not read. Raises CorruptRecords at a batch whose magic or length is impossible.
    """
    size = len(buf)
    while size - at >= HEADER_BYTES:
        header = read_header(buf, at)
        if header.magic == MAGIC and header.length > size - at - LOG_OVERHEAD:
            return
        yield _whole_header(buf, at)
        at += header.length + LOG_OVERHEAD


def assign_offset(buf: bytearray | memoryview, base_offset: int, leader_epoch: int, at: int = 0) -> None:
    """Write base offset and leader epoch into a batch in place; its checksum stays right."""
    _OFFSET.pack_into(buf, at, base_offset)
    _INT.pack_into(buf, at + 12, leader_epoch)


def assign_log_append_time(buf: bytearray | memoryview, now_ms: int, at: int = 0) -> None:
    """Make `now_ms` the time of all records of a batch, in place, and write the new checksum."""
    header = _whole_header(buf, at)
    _ATTRIBUTES.pack_into(buf, at + _CHECKED_AT, header.attributes | LOG_APPEND_TIME)
    _OFFSET.pack_into(buf, at + _MAX_TIMESTAMP_AT, now_ms)
    _write_crc(buf, at, header.size_bytes)


def _write_crc(buf: bytearray | memoryview, at: int, size: int) -> None:
    with memoryview(buf) as view, view[at + _CHECKED_AT : at + size] as checked:
        _CRC.pack_into(buf, at + _CRC_AT, crc32c(checked))


def build_batch(
    records: Sequence[SimpleRecord],
    *,
    timestamp_ms: int,
    base_offset: int = 0,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = -1,
    base_sequence: int = NO_SEQUENCE,
    transactional: bool = False,
    control: bool = False,
    leader_epoch: int = 0,
) -> bytes:
    """One uncompressed batch. Records take consecutive offsets from `base_offset`, whatever theirs say.

    A record whose own timestamp is negative gets `timestamp_ms`.
    """
    assert records, "a batch without records"
    times = [record.timestamp_ms if record.timestamp_ms >= 0 else timestamp_ms for record in records]
    body = bytearray()
    for delta, (record, time_ms) in enumerate(zip(records, times, strict=True)):
        encoded = _encode_record(record, delta, time_ms - times[0])
        _put_varint(body, len(encoded))
        body += encoded
    attributes = (TRANSACTIONAL if transactional else 0) | (CONTROL if control else 0)
    batch = bytearray(
        _HEADER.pack(
            base_offset,
            HEADER_BYTES - LOG_OVERHEAD + len(body),
            leader_epoch,
            MAGIC,
            0,
            attributes,
            len(records) - 1,
            times[0],
            max(times),
            producer_id,
            producer_epoch,
            base_sequence,
            len(records),
        )
    )
    batch += body
    _write_crc(batch, 0, len(batch))
    return bytes(batch)


def build_control_marker(
    commit: bool, producer_id: int, producer_epoch: int, coordinator_epoch: int, timestamp_ms: int
) -> bytes:
    """The batch that ends a transaction in one partition."""
    key = _MARKER_KEY.pack(0, COMMIT_MARKER if commit else ABORT_MARKER)
    record = SimpleRecord(0, timestamp_ms, key, _MARKER_VALUE.pack(0, coordinator_epoch))
    return build_batch(
        [record],
        timestamp_ms=timestamp_ms,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
    )


def marker_type(record: SimpleRecord) -> int:
    """What kind of control record this is: ABORT_MARKER, COMMIT_MARKER, or another of Kafka's numbers."""
    if record.key is None or len(record.key) < _MARKER_KEY.size:
        raise CorruptRecords(f"the control record at offset {record.offset} has the key {record.key!r}")
    return int(_MARKER_KEY.unpack_from(record.key)[1])


def read_records(
    buf: Buffer, at: int = 0, *, max_decompressed_bytes: int = MAX_DECOMPRESSED_BYTES
) -> list[SimpleRecord]:
    """The records of the batch at `at`, control records too. Raises CorruptRecords; the checksum is not read."""
    return list(iter_records(buf, at, max_decompressed_bytes=max_decompressed_bytes))


def iter_records(
    buf: Buffer, at: int = 0, *, max_decompressed_bytes: int = MAX_DECOMPRESSED_BYTES
) -> Iterator[SimpleRecord]:
    """read_records() one by one: a batch of few bytes may hold very many. What is wrong is raised when it is met."""
    header = _whole_header(buf, at)
    body = memoryview(buf)[at + HEADER_BYTES : at + header.size_bytes]
    codec = header.attributes & CODEC_MASK
    if codec:
        body = decompress(codec, body, max_decompressed_bytes)
    if not 0 <= header.count * _SMALLEST_RECORD <= len(body):
        raise CorruptRecords(f"the batch at byte {at} counts {header.count} records in {len(body)} bytes")
    data = bytes(body)
    del body
    position = 0
    for index in range(header.count):
        try:
            length, position = _read_varint(data, position)
            end = position + length
            if length < 0 or end > len(data):
                raise CorruptRecords(f"a record of {length} bytes where {len(data) - position} are left")
            record = _decode_record(data, position, end, header)
        except (IndexError, UnicodeDecodeError) as error:
            raise CorruptRecords(f"record {index} of the batch at byte {at} is malformed: {error}") from error
        yield record
        position = end
    if position != len(data):
        raise CorruptRecords(
            f"{len(data) - position} bytes follow the {header.count} records of the batch at byte {at}"
        )


def _encode_record(record: SimpleRecord, offset_delta: int, timestamp_delta: int) -> bytearray:
    out = bytearray(1)
    _put_varint(out, timestamp_delta)
    _put_varint(out, offset_delta)
    _put_bytes(out, record.key)
    _put_bytes(out, record.value)
    _put_varint(out, len(record.headers))
    for key, value in record.headers:
        _put_bytes(out, key.encode())
        _put_bytes(out, value)
    return out


def _decode_record(data: bytes, at: int, end: int, header: BatchHeader) -> SimpleRecord:
    timestamp_delta, at = _read_varint(data, at + 1)
    offset_delta, at = _read_varint(data, at)
    key, at = _read_bytes(data, at, end)
    value, at = _read_bytes(data, at, end)
    count, at = _read_varint(data, at)
    if not 0 <= count * 2 <= end - at:
        raise CorruptRecords(f"a record counts {count} headers in {end - at} bytes")
    headers = []
    for _ in range(count):
        name, at = _read_bytes(data, at, end)
        if name is None:
            raise CorruptRecords("a record header without a key")
        header_value, at = _read_bytes(data, at, end)
        headers.append((name.decode(), header_value))
    if at != end:
        raise CorruptRecords(f"a record ends at byte {at} where its length says {end}")
    if header.attributes & LOG_APPEND_TIME:
        timestamp_ms = header.max_timestamp
    else:
        timestamp_ms = header.base_timestamp + timestamp_delta
    return SimpleRecord(header.base_offset + offset_delta, timestamp_ms, key, value, tuple(headers))


def _put_varint(out: bytearray, value: int) -> None:
    """A signed number, zigzag, in groups of seven bits."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    while value > 127:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value > 127:
        value &= 0x7F
        for shift in range(7, 64, 7):
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 128:
                break
        else:
            raise CorruptRecords("a variable-length number has more than 64 bits")
    return (value >> 1) ^ -(value & 1), at


def _put_bytes(out: bytearray, value: bytes | None) -> None:
    if value is None:
        out.append(1)
    else:
        _put_varint(out, len(value))
        out += value


def _read_bytes(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = _read_varint(data, at)
    if length < 0:
        return None, at
    stop = at + length
    if stop > end:
        raise CorruptRecords(f"a length of {length} bytes where {end - at} are left")
    return data[at:stop], stop
