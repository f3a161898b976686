"""Columns to record batches v2, and Kafka's hash of keys. Pure; caller: core/records/encoding.py.

plan_batches cuts the rows into batches and sizes them, write_batches fills in the records; the space of each batch's
header is left free. Source: Kafka's DefaultRecord and Utils.murmur2. Tests: tests/core/records.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrow import BinaryBuffers
from .jit import as_int64, kernel
from .machine import copy_bytes

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

HEADER_BYTES = 61
FIRST_ROW, COUNT, BODY_BYTES, FIRST_TIMESTAMP, MAX_TIMESTAMP = range(5)
TABLE_COLUMNS = 5


class Headers(NamedTuple):
    """Row i has the headers ends[i] to ends[i + 1]; `ends` is empty when no row has any."""

    ends: Int32s
    validity: Bytes
    first_bit: int
    keys: BinaryBuffers
    values: BinaryBuffers


@kernel
def length_of(column: BinaryBuffers, row: int) -> int:
    """Length of a value, -1 for null."""
    if len(column.validity):
        bit = column.first_bit + row
        if not (column.validity[bit >> 3] >> (bit & 7)) & 1:
            return -1
    return as_int64(column.ends[row + 1]) - as_int64(column.ends[row])


@kernel
def header_range(headers: Headers, row: int) -> tuple[int, int]:
    if len(headers.ends) == 0:
        return 0, 0
    if len(headers.validity):
        bit = headers.first_bit + row
        if not (headers.validity[bit >> 3] >> (bit & 7)) & 1:
            return 0, 0
    return as_int64(headers.ends[row]), as_int64(headers.ends[row + 1])


@kernel
def varint_size(value: int) -> int:
    rest = (value << 1) ^ (value >> 63)
    size = 1
    while rest >= 0x80 or rest < 0:
        rest = (rest >> 7) & 0x01FFFFFFFFFFFFFF
        size += 1
    return size


@kernel
def write_varint(target: Bytes, at: int, value: int) -> int:
    rest = (value << 1) ^ (value >> 63)
    while rest >= 0x80 or rest < 0:
        target[at] = (rest & 0x7F) | 0x80
        rest = (rest >> 7) & 0x01FFFFFFFFFFFFFF
        at += 1
    target[at] = rest
    return at + 1


@kernel
def write_bytes(target: Bytes, at: int, column: BinaryBuffers, row: int) -> int:
    """The length as a varint, -1 for null, and the bytes."""
    length = length_of(column, row)
    at = write_varint(target, at, length)
    if length > 0:
        copy_bytes(column.data, as_int64(column.ends[row]), target, at, length)
        at += length
    return at


@kernel
def fixed_size(keys: BinaryBuffers, values: BinaryBuffers, headers: Headers, row: int) -> int:
    """Bytes of a record without its length, timestamp and offset."""
    key_length = length_of(keys, row)
    value_length = length_of(values, row)
    first, end = header_range(headers, row)
    size = 1 + varint_size(key_length) + varint_size(value_length) + varint_size(end - first)
    size += max(key_length, 0) + max(value_length, 0)
    for entry in range(first, end):
        key_length = length_of(headers.keys, entry)
        value_length = length_of(headers.values, entry)
        size += varint_size(key_length) + varint_size(value_length) + max(key_length, 0) + max(value_length, 0)
    return size


@kernel
def plan_batches(
    keys: BinaryBuffers, values: BinaryBuffers, headers: Headers, timestamps: Int64s, max_bytes: int, table: Int64s
) -> int:
    """Cut the rows into batches, one table row for each: the number of batches. `table` has a row for every record."""
    batch = -1
    body_bytes = 0
    for row in range(len(timestamps)):
        size = fixed_size(keys, values, headers, row)
        if batch >= 0:
            delta_bytes = varint_size(timestamps[row] - table[batch, FIRST_TIMESTAMP])
            record_bytes = size + delta_bytes + varint_size(row - table[batch, FIRST_ROW])
            record_bytes += varint_size(record_bytes)
        if batch < 0 or HEADER_BYTES + body_bytes + record_bytes > max_bytes:
            batch += 1
            table[batch, FIRST_ROW] = row
            table[batch, FIRST_TIMESTAMP] = timestamps[row]
            table[batch, MAX_TIMESTAMP] = timestamps[row]
            record_bytes = size + 2
            record_bytes += varint_size(record_bytes)
            body_bytes = 0
        body_bytes += record_bytes
        table[batch, BODY_BYTES] = body_bytes
        table[batch, COUNT] = row + 1 - table[batch, FIRST_ROW]
        table[batch, MAX_TIMESTAMP] = max(table[batch, MAX_TIMESTAMP], timestamps[row])
    return batch + 1


@kernel
def write_batches(
    keys: BinaryBuffers, values: BinaryBuffers, headers: Headers, timestamps: Int64s, table: Int64s, target: Bytes
) -> int:
    """Write the records of all planned batches into `target`, each behind room for its header: the bytes used."""
    at = 0
    for batch in range(len(table)):
        at += HEADER_BYTES
        first_row = table[batch, FIRST_ROW]
        first_timestamp = table[batch, FIRST_TIMESTAMP]
        for row in range(first_row, first_row + table[batch, COUNT]):
            timestamp_delta = timestamps[row] - first_timestamp
            size = fixed_size(keys, values, headers, row)
            size += varint_size(timestamp_delta) + varint_size(row - first_row)
            at = write_varint(target, at, size)
            target[at] = 0
            at = write_varint(target, at + 1, timestamp_delta)
            at = write_varint(target, at, row - first_row)
            at = write_bytes(target, at, keys, row)
            at = write_bytes(target, at, values, row)
            first, end = header_range(headers, row)
            at = write_varint(target, at, end - first)
            for entry in range(first, end):
                at = write_bytes(target, at, headers.keys, entry)
                at = write_bytes(target, at, headers.values, entry)
    return at


@kernel
def murmur2(data: Bytes, at: Any, length: int) -> int:
    """Kafka's 32-bit murmur2 with its seed, as an unsigned value."""
    mixer = np.uint32(0x5BD1E995)
    hashed = np.uint32(0x9747B28C) ^ np.uint32(length)
    end = at + (length & ~3)
    while at < end:
        word = np.uint32(data[at]) | (np.uint32(data[at + 1]) << np.uint32(8))
        word |= (np.uint32(data[at + 2]) << np.uint32(16)) | (np.uint32(data[at + 3]) << np.uint32(24))
        word = np.uint32(word * mixer)
        word = np.uint32((word ^ (word >> np.uint32(24))) * mixer)
        hashed = np.uint32(hashed * mixer) ^ word
        at += 4
    rest = length & 3
    if rest == 3:
        hashed ^= np.uint32(data[at + 2]) << np.uint32(16)
    if rest >= 2:
        hashed ^= np.uint32(data[at + 1]) << np.uint32(8)
    if rest >= 1:
        hashed = np.uint32((hashed ^ np.uint32(data[at])) * mixer)
    hashed = np.uint32((hashed ^ (hashed >> np.uint32(13))) * mixer)
    return as_int64(hashed ^ (hashed >> np.uint32(15)))


@kernel
def hash_partitions(keys: BinaryBuffers, partitions: int, out: Int32s) -> None:
    for row in range(len(out)):
        length = length_of(keys, row)
        if length < 0:
            out[row] = -1
        else:
            out[row] = (murmur2(keys.data, keys.ends[row], length) & 0x7FFFFFFF) % partitions
