"""Group columns to one byte string a row and back: a tag, then 8 bytes or a length and bytes, for each column. Pure.

The bytes are canonical (equal rows give equal bytes), so that they serve as hash keys and in changelogs alike.
Layout: 0 for null; 1 and 8 bytes little-endian; 1 and a length of 4 bytes little-endian and the bytes.
Tests: tests/streams/test_state.py.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ...core.kernels.jit import kernel
from .buffers import (
    ALL_VALID,
    Bytes,
    Ends,
    Int64s,
    binary_array,
    integer_array,
    integers,
    is_text,
    plain,
    text_parts,
    validity,
)

# With the tag before them: a value of 8 bytes, and the length of a text.
FIXED_BYTES = 9
LENGTH_BYTES = 5


@kernel
def add_fixed_lengths(valid: Bytes, lengths: Int64s) -> None:
    """Adds to each row's length what a column of 8 bytes takes."""
    for row in range(lengths.size):
        lengths[row] += 1 if valid.size > 0 and valid[row] == 0 else FIXED_BYTES


@kernel
def add_text_lengths(offsets: Ends, valid: Bytes, lengths: Int64s) -> None:
    """Adds to each row's length what a column of texts takes."""
    for row in range(lengths.size):
        if valid.size > 0 and valid[row] == 0:
            lengths[row] += 1
        else:
            lengths[row] += LENGTH_BYTES + offsets[row + 1] - offsets[row]


@kernel
def write_fixed(values: Int64s, valid: Bytes, cursor: Int64s, out: Bytes) -> None:
    """Writes one column of all rows at their cursors, and moves these past it."""
    for row in range(values.size):
        at = cursor[row]
        if valid.size > 0 and valid[row] == 0:
            out[at] = 0
            cursor[row] = at + 1
            continue
        out[at] = 1
        value = values[row]
        for shift in range(8):
            out[at + 1 + shift] = (value >> (8 * shift)) & 0xFF
        cursor[row] = at + FIXED_BYTES


@kernel
def write_text(offsets: Ends, data: Bytes, valid: Bytes, cursor: Int64s, out: Bytes) -> None:
    """As write_fixed, for texts."""
    for row in range(cursor.size):
        at = cursor[row]
        if valid.size > 0 and valid[row] == 0:
            out[at] = 0
            cursor[row] = at + 1
            continue
        start = offsets[row]
        length = offsets[row + 1] - start
        out[at] = 1
        for shift in range(4):
            out[at + 1 + shift] = (length >> (8 * shift)) & 0xFF
        at += LENGTH_BYTES
        for index in range(length):
            out[at + index] = data[start + index]
        cursor[row] = at + length


@kernel
def read_fixed(ends: Int64s, data: Bytes, cursor: Int64s, values: Int64s, valid: Bytes) -> int:
    """Reads one column of all rows; returns the row that is damaged, or -1."""
    for row in range(cursor.size):
        at = cursor[row]
        if at >= ends[row + 1] or data[at] > 1:
            return row
        valid[row] = data[at]
        cursor[row] = at + 1
        if data[at] == 1:
            if at + FIXED_BYTES > ends[row + 1]:
                return row
            value = np.int64(0)
            for shift in range(8):
                value |= np.int64(data[at + 1 + shift]) << np.int64(8 * shift)
            values[row] = value
            cursor[row] = at + FIXED_BYTES
    return -1


@kernel
def read_text_lengths(ends: Int64s, data: Bytes, cursor: Int64s, lengths: Int64s, valid: Bytes) -> int:
    """Reads tag and length, leaving the cursor at the bytes; returns the row that is damaged, or -1."""
    for row in range(cursor.size):
        at = cursor[row]
        if at >= ends[row + 1] or data[at] > 1:
            return row
        valid[row] = data[at]
        cursor[row] = at + 1
        if data[at] == 1:
            if at + LENGTH_BYTES > ends[row + 1]:
                return row
            length = np.int64(0)
            for shift in range(4):
                length |= np.int64(data[at + 1 + shift]) << np.int64(8 * shift)
            if at + LENGTH_BYTES + length > ends[row + 1]:
                return row
            lengths[row] = length
            cursor[row] = at + LENGTH_BYTES
    return -1


@kernel
def copy_text(data: Bytes, cursor: Int64s, offsets: Int64s, out: Bytes) -> None:
    """Copies the bytes at each cursor to offsets[row]:offsets[row + 1], and moves the cursor past them."""
    for row in range(cursor.size):
        at = cursor[row]
        start = offsets[row]
        length = offsets[row + 1] - start
        for index in range(length):
            out[start + index] = data[at + index]
        cursor[row] = at + length


def encode_rows(columns: Sequence[pa.Array], count: int) -> tuple[Int64s, Bytes]:
    """Offsets (count + 1) and bytes of the row keys of `columns`, each of `count` rows."""
    arrays = [plain(column) for column in columns]
    valid = [validity(array) for array in arrays]
    lengths = np.zeros(count, np.int64)
    for array, present in zip(arrays, valid, strict=True):
        if is_text(array.type):
            add_text_lengths(text_parts(array)[0], present, lengths)
        else:
            add_fixed_lengths(present, lengths)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    cursor = offsets[:-1].copy()
    for array, present in zip(arrays, valid, strict=True):
        if is_text(array.type):
            ends, data = text_parts(array)
            write_text(ends, data, present, cursor, out)
        else:
            write_fixed(integers(array), present, cursor, out)
    return offsets, out


def decode_rows(offsets: Int64s, data: Bytes, kinds: Sequence[pa.DataType]) -> list[pa.Array]:
    """The columns that `encode_rows` was given. Raises ValueError for bytes that it did not write."""
    cursor = offsets[:-1].copy()
    columns = [_decode_column(offsets, data, cursor, kind) for kind in kinds]
    if not np.array_equal(cursor, offsets[1:]):
        raise ValueError(f"a key does not hold the {len(kinds)} columns that the plan groups by")
    return columns


def _decode_column(offsets: Int64s, data: Bytes, cursor: Int64s, kind: pa.DataType) -> pa.Array:
    count = cursor.size
    valid = np.zeros(count, np.uint8)
    values = np.zeros(count, np.int64)
    if not is_text(kind):
        fault = read_fixed(offsets, data, cursor, values, valid)
    else:
        fault = read_text_lengths(offsets, data, cursor, values, valid)
    if fault >= 0:
        raise ValueError(f"key {fault} is damaged: it ends inside a column of type {kind}")
    present = ALL_VALID if bool(valid.all()) else valid
    if not is_text(kind):
        return integer_array(values, kind, present)
    text_offsets = np.zeros(count + 1, np.int64)
    np.cumsum(values, out=text_offsets[1:])
    out = np.empty(int(text_offsets[-1]), np.uint8)
    copy_text(data, cursor, text_offsets, out)
    return binary_array(text_offsets, out, kind, present)
