"""Record batches v2 to columns: header scan, records, record headers. Pure; caller: core/records/decoding.py.

Source: Kafka's DefaultRecordBatch and DefaultRecord. A record is at least 7 bytes, all its fields lie inside its
declared length, and a batch holds exactly the records it declares. Every read is preceded by a check against the end
of the enclosing region, so damaged bytes give an error code. Tests: tests/core/records.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .jit import as_int64, kernel
from .machine import copy_bytes

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

HEADER_BYTES = 61
LENGTH_AT = 8
MINIMUM_LENGTH = HEADER_BYTES - 12
MINIMUM_RECORD_BYTES = 7
INT64_MAX = 2**63 - 1

# Columns of the batch table; FIRST_BYTE and END_BYTE are positions in the source that holds the records.
POSITION, BASE_OFFSET, LENGTH, LEADER_EPOCH, MAGIC, CRC, ATTRIBUTES, LAST_DELTA, BASE_TIMESTAMP = range(9)
MAX_TIMESTAMP, PRODUCER_ID, COUNT, FIRST_BYTE, END_BYTE, IN_SCRATCH = range(9, 15)
TABLE_COLUMNS = 15

# Slots of the state array that kernels share: totals so far, then where the first fault is.
ROWS, KEY_BYTES, VALUE_BYTES, NULL_KEYS, NULL_VALUES, HEADERS, HEADER_KEY_BYTES, HEADER_VALUE_BYTES = range(8)
FAULT_BATCH, FAULT_RECORD = range(8, 10)
STATE_SLOTS = 10

FAULTS = (
    "",
    "its length runs past the batch or is too small for a record",
    "its timestamp delta is malformed or leaves the 64-bit range",
    "its offset delta is malformed, out of order or beyond the batch's last offset",
    "its key length is malformed or runs past the record",
    "its value length is malformed or runs past the record",
    "its header count is malformed or larger than the record allows",
    "a header's key length is malformed, negative or runs past the record",
    "a header's value length is malformed or runs past the record",
    "its fields do not fill its declared length",
    "bytes are left over after the last record of the batch",
)
(SOUND, BAD_LENGTH, BAD_TIMESTAMP, BAD_OFFSET, BAD_KEY, BAD_VALUE, BAD_HEADER_COUNT, BAD_HEADER_KEY, BAD_HEADER_VALUE,
 BAD_END, BYTES_LEFT) = range(11)  # fmt: skip

HEADER_FAULTS = (
    "",
    "length {length} is smaller than a batch header, which takes 49",
    "magic {magic} is not 2, the only record format since Kafka 4",
    "its last offset delta {last_delta} leaves the range of offsets",
    "its base offset is not above the last offset of the batch before it",
    "{count} records do not fit its last offset delta {last_delta}",
    "codec {codec} does not exist",
    "{count} records do not fit into the {size} bytes of the batch",
)
BAD_BATCH_LENGTH, BAD_MAGIC, BAD_LAST_DELTA, BAD_ORDER, BAD_COUNT, BAD_CODEC, TOO_MANY = range(1, 8)

CODEC_BITS = 7
HIGHEST_CODEC = 4
LOG_APPEND_TIME = 8


class Columns(NamedTuple):
    """Output arrays for all records of a fetch; the byte arrays are large enough for all bytes of the source."""

    offsets: Int64s
    timestamps: Int64s
    key_ends: Int32s
    keys: Bytes
    key_valid: Bytes
    value_ends: Int32s
    values: Bytes
    value_valid: Bytes
    header_ends: Int32s
    header_at: Int64s


class HeaderColumns(NamedTuple):
    """Output arrays for record headers, allocated to the totals that decode_batches counted."""

    key_ends: Int32s
    keys: Bytes
    value_ends: Int32s
    values: Bytes
    value_valid: Bytes


@kernel
def big_endian(source: Bytes, at: int, size: int) -> int:
    """Signed big-endian integer of `size` bytes."""
    value = as_int64(np.int8(source[at]))
    for index in range(at + 1, at + size):
        value = (value << 8) | as_int64(source[index])
    return value


@kernel
def scan_batches(source: Bytes, table: Int64s) -> int:
    """Fill `table` with the headers of the whole batches, as many as it has rows for.

    Returns the number of whole batches in `source`; it ends at a batch of impossible length, which is counted.
    A last batch that is cut off is not counted.
    """
    total = len(source)
    at = 0
    count = 0
    while total - at >= HEADER_BYTES:
        length = big_endian(source, at + LENGTH_AT, 4)
        if length > total - at - 12:
            break
        if count < len(table):
            scan_header(source, at, length, table[count])
        count += 1
        if length < MINIMUM_LENGTH:
            break
        at += 12 + length
    return count


@kernel
def scan_header(source: Bytes, at: int, length: int, row: Int64s) -> None:
    row[POSITION] = at
    row[BASE_OFFSET] = big_endian(source, at, 8)
    row[LENGTH] = length
    row[LEADER_EPOCH] = big_endian(source, at + 12, 4)
    row[MAGIC] = big_endian(source, at + 16, 1)
    row[CRC] = big_endian(source, at + 17, 4) & 0xFFFFFFFF
    row[ATTRIBUTES] = big_endian(source, at + 21, 2)
    row[LAST_DELTA] = big_endian(source, at + 23, 4)
    row[BASE_TIMESTAMP] = big_endian(source, at + 27, 8)
    row[MAX_TIMESTAMP] = big_endian(source, at + 35, 8)
    row[PRODUCER_ID] = big_endian(source, at + 43, 8)
    row[COUNT] = big_endian(source, at + 57, 4)
    row[FIRST_BYTE] = at + HEADER_BYTES
    row[END_BYTE] = at + 12 + length
    row[IN_SCRATCH] = 0


@kernel
def check_headers_of_batches(table: Int64s, state: Int64s) -> int:
    """SOUND, or what is wrong with the first batch whose header contradicts itself or the bytes there are."""
    previous_last = as_int64(-1)
    for index in range(len(table)):
        state[FAULT_BATCH] = index
        row = table[index]
        size = row[LENGTH] - MINIMUM_LENGTH
        codec = row[ATTRIBUTES] & CODEC_BITS
        if size < 0:
            return BAD_BATCH_LENGTH
        if row[MAGIC] != 2:
            return BAD_MAGIC
        if row[BASE_OFFSET] < 0 or row[LAST_DELTA] < 0 or row[BASE_OFFSET] > INT64_MAX - 1 - row[LAST_DELTA]:
            return BAD_LAST_DELTA
        if row[BASE_OFFSET] <= previous_last:
            return BAD_ORDER
        if row[COUNT] < 0 or row[COUNT] > row[LAST_DELTA] + 1:
            return BAD_COUNT
        if codec > HIGHEST_CODEC:
            return BAD_CODEC
        if codec == 0 and row[COUNT] > size // MINIMUM_RECORD_BYTES:
            return TOO_MANY
        previous_last = row[BASE_OFFSET] + row[LAST_DELTA]
    return SOUND


@kernel
def read_varint(source: Bytes, at: int, end: int, most_bytes: int) -> tuple[int, int]:
    """Zigzag varint at `at`: (value, position after it); the position is -1 when it is cut off or too long."""
    raw = as_int64(0)
    shift = 0
    for index in range(most_bytes):
        if at + index >= end:
            return 0, -1
        byte = as_int64(source[at + index])
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return ((raw >> 1) & INT64_MAX) ^ -(raw & 1), at + index + 1
        shift += 7
    return 0, -1


@kernel
def decode_batches(blob: Bytes, scratch: Bytes, table: Int64s, from_offset: int, out: Columns, state: Int64s) -> int:
    """Decode the records of every batch in `table` into `out`; totals go to `state`.

    Returns SOUND, or the fault whose place is in state[FAULT_BATCH] and state[FAULT_RECORD].
    """
    out.key_ends[0] = 0
    out.value_ends[0] = 0
    out.header_ends[0] = 0
    for batch in range(len(table)):
        source = scratch if table[batch, IN_SCRATCH] else blob
        fault = decode_batch(source, table[batch], from_offset, out, state)
        if fault:
            state[FAULT_BATCH] = batch
            return fault
    return SOUND


@kernel
def decode_batch(source: Bytes, batch: Int64s, from_offset: int, out: Columns, state: Int64s) -> int:
    at = batch[FIRST_BYTE]
    end = batch[END_BYTE]
    base_timestamp = batch[BASE_TIMESTAMP]
    is_log_append_time = batch[ATTRIBUTES] & LOG_APPEND_TIME
    row = state[ROWS]
    key_bytes = state[KEY_BYTES]
    value_bytes = state[VALUE_BYTES]
    previous_delta = as_int64(-1)
    for index in range(batch[COUNT]):
        state[FAULT_RECORD] = index
        length, at = read_varint(source, at, end, 5)
        if at < 0 or length < MINIMUM_RECORD_BYTES - 1 or length > end - at:
            return BAD_LENGTH
        stop = at + length
        delta, at = read_varint(source, at + 1, stop, 10)
        timestamp = base_timestamp + delta
        if at < 0 or ((base_timestamp ^ timestamp) & (delta ^ timestamp)) < 0:
            return BAD_TIMESTAMP
        delta, at = read_varint(source, at, stop, 5)
        if at < 0 or delta <= previous_delta or delta > batch[LAST_DELTA]:
            return BAD_OFFSET
        previous_delta = delta
        key_length, at = read_varint(source, at, stop, 5)
        if at < 0 or key_length < -1 or key_length > stop - at:
            return BAD_KEY
        key_at = at
        at += max(key_length, 0)
        value_length, at = read_varint(source, at, stop, 5)
        if at < 0 or value_length < -1 or value_length > stop - at:
            return BAD_VALUE
        value_at = at
        at += max(value_length, 0)
        offset = batch[BASE_OFFSET] + delta
        is_wanted = offset >= from_offset
        if at + 1 == stop and source[at] == 0:
            at = stop
            header_at = as_int64(0)
        else:
            header_at = at if not batch[IN_SCRATCH] else ~at
            fault, at = check_headers(source, at, stop, is_wanted, state)
            if fault:
                return fault
        if at != stop:
            return BAD_END
        if is_wanted:
            out.offsets[row] = offset
            out.timestamps[row] = batch[MAX_TIMESTAMP] if is_log_append_time else timestamp
            out.key_valid[row] = key_length >= 0
            out.value_valid[row] = value_length >= 0
            state[NULL_KEYS] += key_length < 0
            state[NULL_VALUES] += value_length < 0
            if key_length > 0:
                copy_bytes(source, key_at, out.keys, key_bytes, key_length)
                key_bytes += key_length
            if value_length > 0:
                copy_bytes(source, value_at, out.values, value_bytes, value_length)
                value_bytes += value_length
            out.header_at[row] = header_at
            row += 1
            out.key_ends[row] = key_bytes
            out.value_ends[row] = value_bytes
            out.header_ends[row] = state[HEADERS]
    state[ROWS] = row
    state[KEY_BYTES] = key_bytes
    state[VALUE_BYTES] = value_bytes
    return SOUND if at == end else BYTES_LEFT


@kernel
def check_headers(source: Bytes, at: int, stop: int, is_wanted: bool, state: Int64s) -> tuple[int, int]:
    """Check one record's headers and add them to the totals: (fault, position after them)."""
    count, at = read_varint(source, at, stop, 5)
    if at < 0 or count < 0 or count > (stop - at) // 2:
        return BAD_HEADER_COUNT, at
    key_bytes = 0
    value_bytes = 0
    for _ in range(count):
        length, at = read_varint(source, at, stop, 5)
        if at < 0 or length < 0 or length > stop - at:
            return BAD_HEADER_KEY, at
        key_bytes += length
        at += length
        length, at = read_varint(source, at, stop, 5)
        if at < 0 or length < -1 or length > stop - at:
            return BAD_HEADER_VALUE, at
        value_bytes += max(length, 0)
        at += max(length, 0)
    if is_wanted:
        state[HEADERS] += count
        state[HEADER_KEY_BYTES] += key_bytes
        state[HEADER_VALUE_BYTES] += value_bytes
    return SOUND, at


@kernel
def decode_headers(blob: Bytes, scratch: Bytes, header_at: Int64s, header_ends: Int32s, out: HeaderColumns) -> int:
    """Headers of all rows, in order, from bytes that decode_batches has checked. Returns the number of null values."""
    nulls = 0
    entry = 0
    key_bytes = 0
    value_bytes = 0
    out.key_ends[0] = 0
    out.value_ends[0] = 0
    for row in range(len(header_at)):
        count = header_ends[row + 1] - header_ends[row]
        if count == 0:
            continue
        at = header_at[row]
        source = blob
        if at < 0:
            at = ~at
            source = scratch
        _, at = read_varint(source, at, len(source), 5)
        for _ in range(count):
            length, at = read_varint(source, at, len(source), 5)
            copy_bytes(source, at, out.keys, key_bytes, length)
            at += length
            key_bytes += length
            length, at = read_varint(source, at, len(source), 5)
            if length > 0:
                copy_bytes(source, at, out.values, value_bytes, length)
                at += length
                value_bytes += length
            out.value_valid[entry] = length >= 0
            nulls += length < 0
            entry += 1
            out.key_ends[entry] = key_bytes
            out.value_ends[entry] = value_bytes
    return nulls
