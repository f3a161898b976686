"""Typed columns to JSON objects, row by row: a pass for the room that is needed, then the text. Pure.

Caller: formats/json_write.py, which describes every column in a table of addresses and keeps the arrays alive. `out` is
an address with room for what row_sizes found. Tests: tests/core/formats/test_json_write.py, against Python's json.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .double_text import MOST_BYTES, write_double
from .jit import as_int64, inlined, kernel
from .machine import byte_at, copy_memory, int32_at, int64_at, put_byte, word_at

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

INTEGER, BOOLEAN, TEXT, RAW, DOUBLE = range(5)
KIND, VALUES, DATA, VALIDITY, FIRST, PREFIX, PREFIX_BYTES = range(7)
TABLE_COLUMNS: Final = 7
MOST_INTEGER_BYTES: Final = 20

QUOTE, BACKSLASH, ZERO, MINUS, SPACE, LETTER_U, CLOSE_BRACE = (ord(char) for char in '"\\0- u}')
NULL_WORD, TRUE_WORD, FALSE_WORD = (int.from_bytes(text, "little") for text in (b"null", b"true", b"false"))
SHORT_ESCAPES: Final = b"\0\0\0\0\0\0\0\0btn\0fr" + bytes(18)
HEX_DIGITS: Final = b"0123456789abcdef"
INFINITE = np.uint64(0x7FF0000000000000)
QUOTES = np.uint64(0x2222222222222222)
BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
BLANKS = np.uint64(0x2020202020202020)
ONES = np.uint64(0x0101010101010101)
HIGH_BITS = np.uint64(0x8080808080808080)
TEN = np.uint64(10)


@inlined
def is_set(bitmap: int, bit: int) -> bool:
    """Whether the bit is set in a bitmap; always without a bitmap."""
    return bool(bitmap == 0 or (byte_at(bitmap, bit >> 3) >> (bit & 7)) & 1 == 1)


@kernel
def write_integer(out: int, at: int, value: Any) -> int:
    rest = np.uint64(-(value + 1)) + np.uint64(1) if value < 0 else np.uint64(value)
    if value < 0:
        put_byte(out, at, MINUS)
        at += 1
    end = at + 1
    left = rest // TEN
    while left:
        left //= TEN
        end += 1
    index = end
    while index > at:
        index -= 1
        put_byte(out, index, ZERO + as_int64(rest % TEN))
        rest //= TEN
    return end


@inlined
def write_word(out: int, at: int, word: int, size: int) -> int:
    """The lowest `size` bytes of `word`, at most 5."""
    for index in range(size):
        put_byte(out, at + index, (word >> (8 * index)) & 0xFF)
    return at + size


@kernel
def escaped_size(data: int, at: int, end: int) -> int:
    size = end - at
    while at < end:
        if at + 8 <= end:
            word = word_at(data, at)
            quotes = word ^ QUOTES
            slashes = word ^ BACKSLASHES
            hits = ((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes) | ((word - BLANKS) & ~word)
            if hits & HIGH_BITS == np.uint64(0):
                at += 8
                continue
        byte = byte_at(data, at)
        if byte < SPACE:
            size += 1 if SHORT_ESCAPES[byte] else 5
        elif byte in (QUOTE, BACKSLASH):
            size += 1
        at += 1
    return size


@kernel
def write_escaped(out: int, to: int, data: int, at: int, end: int) -> int:
    while at < end:
        byte = byte_at(data, at)
        at += 1
        if byte < SPACE:
            put_byte(out, to, BACKSLASH)
            short = as_int64(SHORT_ESCAPES[byte])
            put_byte(out, to + 1, short if short else LETTER_U)
            to += 2
            if not short:
                put_byte(out, to, ZERO)
                put_byte(out, to + 1, ZERO)
                put_byte(out, to + 2, ZERO + (byte >> 4))
                put_byte(out, to + 3, as_int64(HEX_DIGITS[byte & 15]))
                to += 4
            continue
        if byte in (QUOTE, BACKSLASH):
            put_byte(out, to, BACKSLASH)
            to += 1
        put_byte(out, to, byte)
        to += 1
    return to


@kernel
def write_quoted(out: int, to: int, data: int, at: int, end: int) -> int:
    put_byte(out, to, QUOTE)
    if escaped_size(data, at, end) == end - at:
        copy_memory(data + at, out + to + 1, end - at)
        to += end - at + 1
    else:
        to = write_escaped(out, to + 1, data, at, end)
    put_byte(out, to, QUOTE)
    return to + 1


@kernel
def room_needed(table: Int64s, rows: int) -> int:
    """Bytes that hold all rows at most; exact for text."""
    total = 0
    for column in range(len(table)):
        kind = table[column, KIND]
        each = table[column, PREFIX_BYTES] + (MOST_BYTES if kind == DOUBLE else MOST_INTEGER_BYTES)
        total += each * rows
        if kind in (TEXT, RAW):
            ends, data, first = table[column, VALUES], table[column, DATA], table[column, FIRST]
            for row in range(first, first + rows):
                at, end = int32_at(ends, row), int32_at(ends, row + 1)
                total += escaped_size(data, at, end) if kind == TEXT else end - at
    return total + rows


@inlined
def write_value(out: int, at: int, column: int, row: int, powers: int) -> int:
    """Write the value of one column, whose table row is at the address `column`."""
    kind = int64_at(column, KIND)
    values = int64_at(column, VALUES)
    if not is_set(int64_at(column, VALIDITY), row):
        return write_word(out, at, NULL_WORD, 4)
    if kind == INTEGER:
        return write_integer(out, at, int64_at(values, row))
    if kind == TEXT:
        return write_quoted(out, at, int64_at(column, DATA), int32_at(values, row), int32_at(values, row + 1))
    if kind == DOUBLE:
        bits = np.uint64(int64_at(values, row))
        return write_word(out, at, NULL_WORD, 4) if bits & INFINITE == INFINITE else write_double(out, at, bits, powers)
    if kind == BOOLEAN:
        return write_word(out, at, TRUE_WORD, 4) if is_set(values, row) else write_word(out, at, FALSE_WORD, 5)
    first = int32_at(values, row)
    size: int = int32_at(values, row + 1) - first
    copy_memory(int64_at(column, DATA) + first, out + at, size)
    return at + size


@kernel
def write_rows(table: Int64s, powers: UInt64s, ends: Int32s, out: int) -> int:
    """Write an object for each row, and where it ends to ends[row + 1]; the bytes written."""
    columns = table.ctypes.data
    count = len(table)
    power_address = powers.ctypes.data
    at = 0
    ends[0] = 0
    for row in range(len(ends) - 1):
        for index in range(count):
            column = columns + 8 * TABLE_COLUMNS * index
            size = int64_at(column, PREFIX_BYTES)
            copy_memory(int64_at(column, PREFIX), out + at, size)
            at = write_value(out, at + size, column, int64_at(column, FIRST) + row, power_address)
        put_byte(out, at, CLOSE_BRACE)
        at += 1
        ends[row + 1] = at
    return at
