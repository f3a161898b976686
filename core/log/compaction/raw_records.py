"""The records of a batch as bytes: what compaction asks of each, and batches with some of them. Pure.

A record that is kept is copied as it stands: batches keep their base offset, so that its offset stays right. Only a
delete horizon, which takes the place of the base timestamp, means that the times of its records are written anew.
Source: DefaultRecord and DefaultRecordBatch of Kafka 4.3.1, KIP-534. Tested in tests/core/log/test_cleaning.py.
"""

import struct
from collections.abc import Callable, Iterable, Iterator

from crc32c import crc32c

from ...errors import CorruptRecords
from ...ports import Buffer
from ...wire.batches import (
    CODEC_MASK,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    LOG_OVERHEAD,
    BatchHeader,
)
from ...wire.compression import compress
from ...wire.decompression import decompress

DELETE_HORIZON = 0x40
NO_TIMESTAMP = -1
HEADER = struct.Struct(">qiibIhiqqqhii")
CRC = struct.Struct(">I")
CRC_AT, CHECKED_AT = 17, 21
MAX_PLAIN_BYTES = 64 * 1024 * 1024
"""Of one batch, decompressed."""
RUN_RECORDS = 10_000
"""A few hundred bytes each, of the few that a record takes at least."""
NO_DELTA = -(1 << 64)

RawRecord = tuple[int, int, int, int, int, bytes | None, bool]
"""Of a record in the bytes of its batch's records: where it starts, where its time ends and the rest begins, where it
ends; its timestamp's and its offset's distance from those of the batch; its key; whether it has a value. A plain tuple,
since there is one for each record of a log."""
Run = list[RawRecord]


def delete_horizon(header: BatchHeader) -> int | None:
    """When the tombstones of a batch, or the marker in it, may go; None while that is not settled. ms."""
    return header.base_timestamp if header.attributes & DELETE_HORIZON else None


def plain_records(batch: Buffer, header: BatchHeader) -> bytes:
    """The bytes of a batch's records, decompressed. Raises CorruptRecords, also where they are too many."""
    body = memoryview(batch)[HEADER_BYTES : header.size_bytes]
    codec = header.attributes & CODEC_MASK
    return bytes(decompress(codec, body, MAX_PLAIN_BYTES) if codec else body)


class Runs:
    """Records a run at a time, as often as they are gone through: of a small batch they are kept, of one with many they
    are made anew each time, as they may take fifty times its bytes."""

    __slots__ = ("_kept", "_make")

    def __init__(self, make: Callable[[], Iterator[Run]], count: int) -> None:
        self._make = make
        self._kept = list(make()) if count <= RUN_RECORDS else None

    def __iter__(self) -> Iterator[Run]:
        return self._make() if self._kept is None else iter(self._kept)


def record_runs(data: bytes, header: BatchHeader) -> Runs:
    """The records in the plain bytes of a batch. Raises CorruptRecords where any is not what the header says."""
    runs = Runs(lambda: _runs(data, header), header.count)
    if header.count > RUN_RECORDS:
        for _ in runs:
            pass
    return runs


def _runs(data: bytes, header: BatchHeader) -> Iterator[Run]:
    at = 0
    for first in range(0, header.count, RUN_RECORDS):
        records, at = _run(data, at, header, first, min(header.count - first, RUN_RECORDS))
        yield records
    if at != len(data):
        raise CorruptRecords(f"{len(data) - at} bytes follow the records of the batch at offset {header.base_offset}")


def _run(data: bytes, at: int, header: BatchHeader, first: int, count: int) -> tuple[Run, int]:
    """For each record of a log: nearly all numbers have one byte, so that is tried before the general way."""
    records: Run = []
    size = len(data)
    try:
        for _ in range(count):
            length, body = _varint(data, at)
            end = body + length
            time_end = body + 2
            time_delta = data[body + 1]
            if time_delta < 128:
                time_delta = (time_delta >> 1) ^ -(time_delta & 1)
            else:
                time_delta, time_end = _varint(data, body + 1)
            offset_delta, key_at = data[time_end], time_end + 1
            if offset_delta < 128:
                offset_delta >>= 1
            else:
                offset_delta, key_at = _varint(data, time_end)
            key_length = data[key_at]
            key_at += 1
            if key_length < 128:
                key_length = (key_length >> 1) ^ -(key_length & 1)
            else:
                key_length, key_at = _varint(data, key_at - 1)
            key = None
            if key_length >= 0:
                key = data[key_at : key_at + key_length]
                key_at += key_length
            value_length, value_at = _varint(data, key_at)
            if length < 0 or end > size or value_at + max(value_length, 0) > end:
                number = first + len(records)
                raise CorruptRecords(f"record {number} of the batch at offset {header.base_offset} is malformed")
            records.append((at, time_end, end, time_delta, offset_delta, key, value_length >= 0))
            at = end
    except IndexError as error:
        raise CorruptRecords(f"the records of the batch at offset {header.base_offset} end too early") from error
    return records, at


def batch_of(header: BatchHeader, data: bytes, kept: Iterable[Run], horizon_ms: int | None) -> bytes:
    """The batch with only these of its records, at their offsets and times.

    data: the plain bytes of all its records. horizon_ms: a delete horizon to be set, None to leave that as it is.
    """
    stamped = bool(header.attributes & LOG_APPEND_TIME)
    base_ms, attributes = header.base_timestamp, header.attributes
    shift = 0
    if horizon_ms is not None:
        shift = 0 if stamped else base_ms - horizon_ms
        base_ms, attributes = horizon_ms, attributes | DELETE_HORIZON
    body = bytearray()
    count, newest_delta = 0, NO_DELTA
    for run in kept:
        if run:
            count += len(run)
            newest_delta = max(newest_delta, max(record[3] for record in run))
        if horizon_ms is None:
            body += b"".join([data[record[0] : record[2]] for record in run])
        else:
            body += b"".join([_shifted(data, record, shift) for record in run])
    newest_ms = header.max_timestamp if stamped else header.base_timestamp + newest_delta
    codec = attributes & CODEC_MASK
    packed = compress(codec, memoryview(body)) if codec else body
    return _assembled(header, attributes, base_ms, newest_ms, count, packed)


def empty_batch(header: BatchHeader) -> bytes:
    """The batch without records: its offsets, and its producer's epoch and sequence, stay known."""
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON)
    return _assembled(header, attributes, NO_TIMESTAMP, header.max_timestamp, 0, b"")


def _assembled(header: BatchHeader, attributes: int, base_ms: int, newest_ms: int, count: int, body: Buffer) -> bytes:
    batch = bytearray(
        HEADER.pack(
            header.base_offset, HEADER_BYTES - LOG_OVERHEAD + len(body), header.leader_epoch, header.magic, 0,
            attributes, header.last_offset_delta, base_ms, newest_ms, header.producer_id, header.producer_epoch,
            header.base_sequence, count,
        )
    )  # fmt: skip
    batch += body
    CRC.pack_into(batch, CRC_AT, crc32c(memoryview(batch)[CHECKED_AT:]))
    return bytes(batch)


def _shifted(data: bytes, record: RawRecord, shift_ms: int) -> bytes:
    """A record whose time is told from another base timestamp."""
    start, time_end, end, timestamp_delta, *_ = record
    length_end = _varint(data, start)[1]
    body = data[length_end : length_end + 1] + _encoded(timestamp_delta + shift_ms) + data[time_end:end]
    return _encoded(len(body)) + body


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number, and where it ends."""
    value = data[at]
    if value < 128:
        return (value >> 1) ^ -(value & 1), at + 1
    value &= 0x7F
    shift = 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 128:
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7
        if shift > 63:
            raise CorruptRecords("a variable-length number has more than 64 bits")


def _encoded(value: int) -> bytes:
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
