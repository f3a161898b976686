"""Typed columns to JSON objects, column by column: sizes first, then text at each row's cursor. Pure.

Caller: formats/json_write.py, which turns every column into integers or text. `out` is an address with room for what
the size kernels added up. Tests: tests/core/formats/test_json_write.py, against Python's json.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .arrow import BinaryBuffers
from .jit import as_int64, inlined, kernel
from .machine import byte_at, copy_memory, put_byte, word_at

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

NUMBERS, BOOLEANS = range(2)
QUOTE, BACKSLASH, ZERO, MINUS, SPACE, LETTER_U = (ord(char) for char in '"\\0- u')
NULL_TEXT, TRUE_TEXT, FALSE_TEXT = b"null", b"true", b"false"
SHORT_ESCAPES: Final = np.zeros(32, np.uint8)
SHORT_ESCAPES[[8, 9, 10, 12, 13]] = np.frombuffer(b"btnfr", np.uint8)
HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8).copy()

QUOTES = np.uint64(0x2222222222222222)
BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
BLANKS = np.uint64(0x2020202020202020)
ONES = np.uint64(0x0101010101010101)
HIGH_BITS = np.uint64(0x8080808080808080)
TEN = np.uint64(10)


@inlined
def is_set(validity: Bytes, bit: int) -> bool:
    return len(validity) == 0 or (validity[bit >> 3] >> (bit & 7)) & 1 == 1


@inlined
def magnitude(value: Any) -> Any:
    """Absolute value as uint64, right for the lowest int64 too."""
    return np.uint64(-(value + 1)) + np.uint64(1) if value < 0 else np.uint64(value)


@inlined
def integer_size(value: Any) -> int:
    rest = magnitude(value)
    size = 2 if value < 0 else 1
    while rest >= TEN:
        rest //= TEN
        size += 1
    return size


@inlined
def write_integer(out: int, at: int, value: Any) -> int:
    rest = magnitude(value)
    end = at + integer_size(value)
    index = end
    while index > at:
        index -= 1
        put_byte(out, index, ZERO + as_int64(rest % TEN))
        rest //= TEN
    if value < 0:
        put_byte(out, at, MINUS)
    return end


@inlined
def is_plain_word(word: Any) -> bool:
    """Whether none of 8 bytes is a quote, a backslash or a control character."""
    quotes = word ^ QUOTES
    slashes = word ^ BACKSLASHES
    hits = ((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes) | ((word - BLANKS) & ~word)
    return bool(hits & HIGH_BITS == np.uint64(0))


@inlined
def escaped_size(data: int, at: int, end: int) -> int:
    size = end - at
    while at < end:
        if at + 8 <= end and is_plain_word(word_at(data, at)):
            at += 8
            continue
        byte = byte_at(data, at)
        if byte < SPACE:
            size += 1 if SHORT_ESCAPES[byte] else 5
        elif byte in (QUOTE, BACKSLASH):
            size += 1
        at += 1
    return size


@inlined
def write_escaped(out: int, to: int, data: int, at: int, end: int) -> int:
    while at < end:
        byte = byte_at(data, at)
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
        else:
            if byte in (QUOTE, BACKSLASH):
                put_byte(out, to, BACKSLASH)
                to += 1
            put_byte(out, to, byte)
            to += 1
        at += 1
    return to


@kernel
def add_integer_sizes(values: Int64s, kind: int, validity: Bytes, first_bit: int, sizes: Int64s) -> None:
    """Add the size of each value of a column to its row's size."""
    for row in range(len(sizes)):
        if not is_set(validity, first_bit + row):
            sizes[row] += 4
        elif kind == BOOLEANS:
            sizes[row] += 4 if values[row] else 5
        else:
            sizes[row] += integer_size(values[row])


@kernel
def write_integers(
    values: Int64s, kind: int, validity: Bytes, first_bit: int, prefix: Bytes, cursors: Int64s, out: int
) -> None:
    """Write `prefix` and the value of each row at its cursor, and move the cursor on."""
    for row in range(len(cursors)):
        at = cursors[row]
        copy_memory(prefix.ctypes.data, out + at, len(prefix))
        at += len(prefix)
        if not is_set(validity, first_bit + row):
            for index in range(4):
                put_byte(out, at + index, as_int64(NULL_TEXT[index]))
            at += 4
        elif kind == NUMBERS:
            at = write_integer(out, at, values[row])
        else:
            size = 4 if values[row] else 5
            for index in range(size):
                put_byte(out, at + index, as_int64(TRUE_TEXT[index] if values[row] else FALSE_TEXT[index]))
            at += size
        cursors[row] = at


@kernel
def add_text_sizes(column: BinaryBuffers, is_quoted: bool, sizes: Int64s) -> None:
    """As add_integer_sizes, for text: quoted and escaped, or as it is."""
    data = column.data.ctypes.data
    for row in range(len(sizes)):
        at = as_int64(column.ends[row])
        end = as_int64(column.ends[row + 1])
        if not is_set(column.validity, column.first_bit + row):
            sizes[row] += 4
        elif is_quoted:
            sizes[row] += escaped_size(data, at, end) + 2
        else:
            sizes[row] += end - at


@kernel
def write_texts(column: BinaryBuffers, is_quoted: bool, prefix: Bytes, cursors: Int64s, out: int) -> None:
    """As write_integers, for text."""
    data = column.data.ctypes.data
    for row in range(len(cursors)):
        to = cursors[row]
        copy_memory(prefix.ctypes.data, out + to, len(prefix))
        to += len(prefix)
        at = as_int64(column.ends[row])
        end = as_int64(column.ends[row + 1])
        if not is_set(column.validity, column.first_bit + row):
            for index in range(4):
                put_byte(out, to + index, as_int64(NULL_TEXT[index]))
            to += 4
        elif is_quoted:
            put_byte(out, to, QUOTE)
            if escaped_size(data, at, end) == end - at:
                copy_memory(data + at, out + to + 1, end - at)
                to += end - at + 1
            else:
                to = write_escaped(out, to + 1, data, at, end)
            put_byte(out, to, QUOTE)
            to += 1
        else:
            copy_memory(data + at, out + to, end - at)
            to += end - at
        cursors[row] = to


@kernel
def close_rows(cursors: Int64s, out: int) -> None:
    """Write the closing brace of each row."""
    for row in range(len(cursors)):
        put_byte(out, cursors[row], 125)
        cursors[row] += 1
