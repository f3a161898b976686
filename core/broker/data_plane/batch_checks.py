"""Whether a produced record batch may be appended, told from its header, and from its records where a topic's
settings ask. Pure.

Source: ProduceRequest.validateRecords and LogValidator of Kafka 4.3.1. Tested in
tests/core/broker/test_batch_checks.py.
"""

import struct
from collections.abc import Callable, Sequence

from ...config import LONG_MAX, LogConfig
from ...errors import CorruptRecords, ErrorCode, ProtocolError
from ...wire.batches import (
    CODEC_MASK,
    CONTROL,
    HEADER_BYTES,
    LOG_OVERHEAD,
    TRANSACTIONAL,
    BatchHeader,
    SimpleRecord,
    check_batch,
    iter_records,
)
from ...wire.decompression import decompress
from ...wire.message import Buffer, joined
from ...wire.primitives import Records

SMALLEST_LENGTH = 14
"""Of a message of magic 0, the smallest there ever was."""
LENGTH_AT, MAGIC_AT = 8, 16
OLD_MAGICS = (0, 1)
NO_TIMESTAMP = -1
ZSTD = 4
CODEC_AT, MAX_TIMESTAMP_AT, COUNT_AT = 22, 35, 57
"""Of a batch: of its attributes the byte with the codec; its newest time; how many records it has."""
MANY_RECORDS = 5_000
MOST_FAULTS = 1_000
"""Records of a batch of which a producer is told why they are refused."""
MAX_PLAIN_BYTES = 64 * 1024 * 1024
"""What the records of one batch may take that have to be read, decompressed: the room is taken at once."""
NULL_LENGTH = 1
"""-1 as a zigzag varint."""
ZSTD_SINCE_PRODUCE = 7
LENGTH_BITS = 35
"""Of a variable-length number of 32 bits, in groups of seven."""
_LENGTH = struct.Struct(">i")
_TIME = struct.Struct(">q")


class BatchRefused(ProtocolError):
    """The one batch of a partition was found and is refused: the answer has the start of the log beside the code."""


class RecordFaults(BatchRefused):
    """Some records of a batch are refused, and the batch with them. `faults` has (index in the batch, what is
    wrong)."""

    def __init__(self, code: ErrorCode, faults: Sequence[tuple[int, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__(code, self.faults[0][1])


class ExaminedBatch(bytes):
    """A batch that was checked before, in a thread; refused where `refusal` says why."""

    header: BatchHeader
    refusal: ProtocolError | None = None


def as_buffer(records: Records | None) -> Buffer:
    """What a produce brings for a partition, as one buffer; over TCP it is a memoryview already."""
    return records if isinstance(records, Buffer) else joined(records or ())


def checked_batch(records: Buffer, config: LogConfig, *, api_version: int, now_ms: int) -> BatchHeader:
    """The header of the one batch in `records`; what follows it is no whole batch.

    Raises ProtocolError, BatchRefused and RecordFaults among them, when it may not be appended.
    """
    if isinstance(records, ExaminedBatch):
        if records.refusal is not None:
            raise records.refusal
        return records.header
    header = _only_batch(records)
    if header.size_bytes > config.max_message_bytes:
        raise ProtocolError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"a batch of {header.size_bytes} bytes; max.message.bytes of the topic is {config.max_message_bytes}",
        )
    _check_header(header, api_version)
    # The header's maximum decides whether a record may lie too far ahead; only then, or for a bound below, are records
    # read.
    if _are_times_read(header.max_timestamp, config, now_ms):
        _check_times(records, config, now_ms)
    if config.compacted:
        without_key = records_without_key(records, header)
        if without_key:
            raise RecordFaults(
                ErrorCode.INVALID_RECORD, [(index, "a compacted topic needs a key") for index in without_key]
            )
    return header


def _only_batch(records: Buffer) -> BatchHeader:
    if len(records) < HEADER_BYTES:
        raise ProtocolError(ErrorCode.INVALID_RECORD, "a produce must have one whole record batch for each partition")
    magic = records[MAGIC_AT]
    if magic in OLD_MAGICS:
        raise ProtocolError(ErrorCode.INVALID_RECORD, f"record batches must have magic 2, not {magic}")
    (length,) = _LENGTH.unpack_from(records, LENGTH_AT)
    if length > len(records) - LOG_OVERHEAD:
        raise ProtocolError(
            ErrorCode.INVALID_RECORD,
            f"a record batch of {length + LOG_OVERHEAD} bytes is cut off after {len(records)} bytes",
        )
    try:
        header = check_batch(records, 0)
    except CorruptRecords as error:
        raise ProtocolError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    rest = len(records) - header.size_bytes
    if rest >= LOG_OVERHEAD:
        (length,) = _LENGTH.unpack_from(records, header.size_bytes + LENGTH_AT)
        if length < SMALLEST_LENGTH:
            raise ProtocolError(ErrorCode.CORRUPT_MESSAGE, f"{rest} bytes that are no batch follow a record batch")
        if length + LOG_OVERHEAD <= rest:
            raise ProtocolError(
                ErrorCode.INVALID_RECORD,
                f"a produce must have exactly one record batch for each partition; {rest} bytes follow the first",
            )
    return header


def _check_header(header: BatchHeader, api_version: int) -> None:
    fault = None
    attributes = header.attributes
    if attributes & CONTROL:
        fault = "clients may not write control batches"
    elif header.count <= 0:
        fault = f"a record batch of {header.count} records"
    elif header.last_offset_delta + 1 != header.count:
        fault = f"a record batch of {header.count} records whose last offset delta is {header.last_offset_delta}"
    elif header.producer_id >= 0 and header.base_sequence < 0:
        fault = f"a record batch of producer {header.producer_id} without a sequence number"
    elif attributes & TRANSACTIONAL and header.producer_id < 0:
        fault = "a transactional record batch without a producer id"
    if fault is not None:
        raise BatchRefused(ErrorCode.INVALID_RECORD, fault)
    codec = attributes & CODEC_MASK
    if codec > ZSTD or (codec == ZSTD and api_version < ZSTD_SINCE_PRODUCE):
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"codec {codec} in a Produce request of version {api_version}"
        )


def _check_times(records: Buffer, config: LogConfig, now_ms: int) -> None:
    newest_ms = now_ms + config.message_timestamp_after_max_ms
    bounded_below = config.message_timestamp_before_max_ms < LONG_MAX
    oldest_ms = now_ms - config.message_timestamp_before_max_ms if bounded_below else None

    def fault(record: SimpleRecord) -> str | None:
        if record.timestamp_ms == NO_TIMESTAMP:
            return None
        if record.timestamp_ms > newest_ms:
            return f"timestamp {record.timestamp_ms} is over message.timestamp.after.max.ms ahead of {now_ms}"
        if oldest_ms is not None and record.timestamp_ms < oldest_ms:
            return f"timestamp {record.timestamp_ms} is over message.timestamp.before.max.ms behind {now_ms}"
        return None

    _refuse(records, ErrorCode.INVALID_TIMESTAMP, fault)


def is_long_to_check(batch: Buffer, config: LogConfig, now_ms: int) -> bool:
    """Whether records have to be read that may be very many, or large beyond what their batch takes."""
    if len(batch) < HEADER_BYTES:
        return False
    (max_timestamp,) = _TIME.unpack_from(batch, MAX_TIMESTAMP_AT)
    if not config.compacted and not _are_times_read(max_timestamp, config, now_ms):
        return False
    return bool(batch[CODEC_AT] & CODEC_MASK) or _LENGTH.unpack_from(batch, COUNT_AT)[0] > MANY_RECORDS


def _are_times_read(max_timestamp: int, config: LogConfig, now_ms: int) -> bool:
    if config.message_timestamp_type != "CreateTime":
        return False
    bounded_below = config.message_timestamp_before_max_ms < LONG_MAX
    return bounded_below or max_timestamp > now_ms + config.message_timestamp_after_max_ms


def _refuse(records: Buffer, code: ErrorCode, fault_of: Callable[[SimpleRecord], str | None]) -> None:
    faults: list[tuple[int, str]] = []
    try:
        for index, record in enumerate(iter_records(records, max_decompressed_bytes=MAX_PLAIN_BYTES)):
            fault = fault_of(record)
            if fault is not None and len(faults) < MOST_FAULTS:
                faults.append((index, fault))
    except CorruptRecords as error:
        raise ProtocolError(ErrorCode.CORRUPT_MESSAGE, str(error)) from error
    if faults:
        raise RecordFaults(code, faults)


def records_without_key(records: Buffer, header: BatchHeader) -> list[int]:
    """Indices of the records whose key is null. Steps over records as bytes: on compacted topics this is for each of
    them.

    Raises ProtocolError CORRUPT_MESSAGE where the records are not what the header says.
    """
    try:
        body = memoryview(records)[HEADER_BYTES : header.size_bytes]
        codec = header.attributes & CODEC_MASK
        data = decompress(codec, body, MAX_PLAIN_BYTES) if codec else body
        return _null_keys(bytes(data), header.count)
    except (CorruptRecords, IndexError) as error:
        raise ProtocolError(ErrorCode.CORRUPT_MESSAGE, f"records that cannot be read: {error}") from error


def _null_keys(data: bytes, count: int) -> list[int]:
    """A record: length, attributes, time delta, offset delta, key length, ...; all but attributes are zigzag
    varints."""
    found: list[int] = []
    at = 0
    for index in range(count):
        byte = data[at]
        at += 1
        length = byte & 0x7F
        shift = 7
        while byte > 0x7F:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if shift > LENGTH_BITS:  # Numbers may not grow with the batch: each step would take longer than the last.
                raise CorruptRecords(f"the length of record {index} has more than 32 bits")
        if length & 1:
            raise CorruptRecords(f"record {index} has a negative length")
        key_at = at + 1
        at += length >> 1
        while data[key_at] > 0x7F:
            key_at += 1
        key_at += 1
        while data[key_at] > 0x7F:
            key_at += 1
        if data[key_at + 1] == NULL_LENGTH and len(found) < MOST_FAULTS:
            found.append(index)
    return found
