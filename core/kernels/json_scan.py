"""JSON objects to typed columns, one pass over the bytes, driven by the declared fields. Pure; caller: formats/json.py.

A row that the scanner takes is valid JSON (RFC 8259) and has the declared types. Anything unusual, and all that is
wrong, ends the row with status SLOW: doubles of more than 19 digits, integers past 2**53 with a point, deep nesting.
`data` is an address; every position is checked against the end of the row before it is read.
Tests: tests/core/formats/test_json_scan.py, and test_json.py there, against Python's json.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrow import BinaryBuffers
from .jit import as_int64, inlined, kernel
from .json_text import end_of_string, literal_length, skip_blank, unescape
from .machine import byte_at, int64_at, put_byte, put_int64, word_at
from .numbers import double_bits, scan_number, skip_number, whole_number
from .text import LENGTH_BITS, NO_TIME, is_utf8, iso_time_ms

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

INTEGER, DOUBLE, BOOLEAN, STRING, TIME = range(5)
DONE, SLOW, NULL_ROW = range(3)
KIND, LOW, HIGH, REQUIRED, NAME_ADDRESS, NAME_LENGTH, FIRST_WORD, FIRST_MASK = range(8)
FIELD_COLUMNS: Final = 8
MOST_NESTING: Final = 60
MOST_INTEGER = np.uint64(2**63 - 1)

QUOTE, COMMA, COLON, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET, LETTER_N = (ord(c) for c in '",:{}[]n')
MORE_ADDRESS, MORE_START, MORE_USED = range(3)


class Cells(NamedTuple):
    """Row r of field f: 64 bits in values[f, r] (a string as a place in the data), and whether there is a value."""

    values: Int64s
    valid: Bytes
    status: Bytes


@inlined
def unescape_more(data: int, at: int, end: int, more: int) -> int:
    """Write the text of a string behind what is used of the room: the position after it, or -1."""
    return unescape(data, at, end, int64_at(more, MORE_ADDRESS), int64_at(more, MORE_USED))


@kernel
def skip_scalar(data: int, at: int, end: int, more: int) -> tuple[int, bool]:
    """(Position after the string, number or literal at `at`, or -1; has bytes beyond ASCII)."""
    if at >= end:
        return -1, False
    if byte_at(data, at) == QUOTE:
        stop, has_escape, beyond_ascii = end_of_string(data, at + 1, end)
        if has_escape and stop >= 0 and unescape_more(data, at + 1, stop, more) < 0:
            return -1, False
        return (-1 if stop < 0 else stop + 1), beyond_ascii
    length = literal_length(data, at, end)
    if length:
        return at + length, False
    return skip_number(data, at, end), False


@kernel
def skip_name(data: int, at: int, end: int, more: int) -> tuple[int, bool]:
    """(Position of the value that follows the name at `at`, or -1; has bytes beyond ASCII)."""
    if at >= end or byte_at(data, at) != QUOTE:
        return -1, False
    start = at + 1
    at, has_escape, beyond_ascii = end_of_string(data, start, end)
    if at < 0 or (has_escape and unescape_more(data, start, at, more) < 0):
        return -1, False
    at = skip_blank(data, at + 1, end)
    if at >= end or byte_at(data, at) != COLON:
        return -1, False
    return skip_blank(data, at + 1, end), beyond_ascii


@kernel
def skip_value(data: int, at: int, end: int, more: int) -> tuple[int, bool]:
    """(Position after any value, checked in full, or -1; has bytes beyond ASCII)."""
    depth = 0
    objects = np.uint64(0)  # The lowest bit tells whether the innermost open value is an object.
    beyond_ascii = False
    while True:
        is_closed = True
        byte = byte_at(data, at) if at < end else 0
        if byte in (OPEN_BRACE, OPEN_BRACKET):
            if depth == MOST_NESTING:
                return -1, False
            depth += 1
            objects = (objects << np.uint64(1)) | np.uint64(byte == OPEN_BRACE)
            at = skip_blank(data, at + 1, end)
            is_closed = at < end and byte_at(data, at) == byte + 2
        else:
            at, wide = skip_scalar(data, at, end, more)
            beyond_ascii |= wide
            if at < 0:
                return -1, False
        while is_closed and depth > 0:
            at = skip_blank(data, at, end)
            byte = byte_at(data, at) if at < end else 0
            if byte == COMMA:
                at = skip_blank(data, at + 1, end)
                is_closed = False
            elif byte == (CLOSE_BRACE if objects & np.uint64(1) else CLOSE_BRACKET):
                depth -= 1
                objects >>= np.uint64(1)
                at += 1
            else:
                return -1, False
        if is_closed:
            return at, beyond_ascii
        if objects & np.uint64(1):
            at, wide = skip_name(data, at, end, more)
            beyond_ascii |= wide
            if at < 0:
                return -1, False


@inlined
def is_field(data: int, at: int, length: int, end: int, field: int) -> bool:
    """Whether the name at `at` is that of the field whose table row is at the address `field`."""
    if int64_at(field, NAME_LENGTH) != length:
        return False
    done = 0
    if at + 8 <= end:
        if word_at(data, at) & np.uint64(int64_at(field, FIRST_MASK)) != np.uint64(int64_at(field, FIRST_WORD)):
            return False
        done = 8
    name = int64_at(field, NAME_ADDRESS)
    for index in range(done, length):  # noqa: SIM110  numba compiles no generator expressions
        if byte_at(data, at + index) != byte_at(name, index):
            return False
    return True


@inlined
def find_field(data: int, at: int, length: int, end: int, fields: int, count: int, expected: int) -> int:
    """Index of the field with this name, the expected one tried first; `count` when it is not declared."""
    if expected < count and is_field(data, at, length, end, fields + 8 * FIELD_COLUMNS * expected):
        return expected
    for index in range(count):
        if is_field(data, at, length, end, fields + 8 * FIELD_COLUMNS * index):
            return index
    return count


@kernel
def find_escaped(data: int, at: int, end: int, fields: int, count: int, more: int) -> int:
    """As find_field, for a name with escapes, unescaped into the room behind what is used; -1 for a bad one."""
    stop = unescape_more(data, at, end, more)
    if stop < 0:
        return -1
    used = int64_at(more, MORE_USED)
    return find_field(int64_at(more, MORE_ADDRESS), used, stop - used, stop, fields, count, count)


@inlined
def scan_text(data: int, at: int, end: int, is_time: bool, more: int) -> tuple[int, Any, bool]:
    """(Position after the string at `at` or -1, its place or the time it gives, has bytes beyond ASCII)."""
    start = at + 1
    at, has_escape, beyond_ascii = end_of_string(data, start, end)
    if at < 0 or (has_escape and is_time):
        return -1, 0, False
    if is_time:
        time_ms = iso_time_ms(data, start, at)
        return (-1 if time_ms == NO_TIME else at + 1), time_ms, False
    if has_escape:
        used = int64_at(more, MORE_USED)
        stop = unescape_more(data, start, at, more)
        if stop < 0:
            return -1, 0, False
        put_int64(more, MORE_USED, stop)
        return at + 1, ((int64_at(more, MORE_START) + used) << LENGTH_BITS) | (stop - used), beyond_ascii
    return at + 1, (start << LENGTH_BITS) | (at - start), beyond_ascii


@inlined
def scan_value(data: int, at: int, end: int, field: int, powers: int) -> tuple[int, Any, bool]:
    """A value that is neither null nor a string: (position after it or -1, its 64 bits)."""
    kind = int64_at(field, KIND)
    if kind == STRING:
        return -1, 0, False
    if kind == BOOLEAN:
        length = literal_length(data, at, end)
        return (at + length if length else -1), length == 4, False
    at, mantissa, power, is_negative, is_integer = scan_number(data, at, end)
    if at < 0:
        return -1, 0, False
    if kind == DOUBLE:
        has_sign = is_negative and not (is_integer and mantissa == np.uint64(0))
        found, bits = double_bits(mantissa, power, has_sign, powers)
        return (at if found else -1), bits, False
    if not is_integer:
        is_integer, mantissa = whole_number(mantissa, power)
    if not is_integer or mantissa > MOST_INTEGER:
        return -1, 0, False
    number = -as_int64(mantissa) if is_negative else as_int64(mantissa)
    if number < int64_at(field, LOW) or number > int64_at(field, HIGH):
        return -1, 0, False
    return at, number, False


@inlined
def scan_member(data: int, at: int, end: int, field: int, constants: Any, place: int) -> tuple[int, bool, bool]:
    """Store the value of a declared field at `place`: (position after it or -1, is not null, bytes beyond ASCII)."""
    powers, more = constants
    byte = byte_at(data, at) if at < end else 0
    if byte == LETTER_N:
        return (at + 4 if literal_length(data, at, end) else -1), False, False
    kind = int64_at(field, KIND)
    if byte == QUOTE and kind in (STRING, TIME):
        at, value, wide = scan_text(data, at, end, kind == TIME, more)
    else:
        at, value, wide = scan_value(data, at, end, field, powers)
    put_int64(place, 0, value)
    return at, True, wide


@kernel
def scan_row(data: int, at: int, end: int, table: Any, followers: int, targets: Any) -> bool:
    """Whether the row was taken.

    table: (address of the field table, number of fields, address of the powers of five, of `more`).
    followers: address of the index of the field that came after each field last time, a good guess for this time.
    targets: (address of the row's first value, of its first validity, number of rows): columns lie one after another.
    """
    fields, count, powers, more = table
    values, valid, rows = targets
    at = skip_blank(data, at, end)
    first = at
    if at >= end or byte_at(data, at) != OPEN_BRACE:
        return False
    at = skip_blank(data, at + 1, end)
    beyond_ascii = False
    previous = count + 1
    is_open = at >= end or byte_at(data, at) != CLOSE_BRACE
    while is_open:
        if at >= end or byte_at(data, at) != QUOTE:
            return False
        start = at + 1
        at, has_escape, wide = end_of_string(data, start, end)
        if at < 0:
            return False
        beyond_ascii |= wide
        if has_escape:
            field = find_escaped(data, start, at, fields, count, more)
            if field < 0:
                return False
        else:
            field = find_field(data, start, at - start, end, fields, count, int64_at(followers, previous))
        put_int64(followers, previous, field)
        previous = field
        at = skip_blank(data, at + 1, end)
        if at >= end or byte_at(data, at) != COLON:
            return False
        at = skip_blank(data, at + 1, end)
        if field < count:
            place = values + 8 * field * rows
            at, is_value, wide = scan_member(data, at, end, fields + 8 * FIELD_COLUMNS * field, (powers, more), place)
            put_byte(valid, field * rows, is_value)
        else:
            at, wide = skip_value(data, at, end, more)
        if at < 0:
            return False
        beyond_ascii |= wide
        at = skip_blank(data, at, end)
        byte = byte_at(data, at) if at < end else 0
        if byte == CLOSE_BRACE:
            break
        if byte != COMMA:
            return False
        at = skip_blank(data, at + 1, end)
    if skip_blank(data, at + 1, end) != end:
        return False
    return not beyond_ascii or is_utf8(data, first, end)


@kernel
def has_required(fields: Int64s, valid: Bytes, row: int) -> bool:
    for field in range(len(fields)):  # noqa: SIM110  numba compiles no generator expressions
        if fields[field, REQUIRED] and not valid[field, row]:
            return False
    return True


@kernel
def scan_rows(values: BinaryBuffers, fields: Int64s, powers: UInt64s, cells: Cells, more: Int64s) -> int:
    """Fill `cells`; how many rows have another status than DONE. `cells.valid` must be zeros.

    more: (address of room for the texts of strings with escapes, as much as all rows have; the place of its first byte;
    how many bytes are used, which grows).
    """
    count = len(fields)
    rows = len(cells.status)
    followers = np.full(count + 2, count, np.int64)
    followers[count + 1] = 0
    table = (fields.ctypes.data, count, powers.ctypes.data, more.ctypes.data)
    data = values.data.ctypes.data
    others = 0
    for row in range(rows):
        bit = values.first_bit + row
        status = DONE
        if len(values.validity) and not (values.validity[bit >> 3] >> (bit & 7)) & 1:
            status = NULL_ROW
        else:
            at = as_int64(values.ends[row])
            end = as_int64(values.ends[row + 1])
            targets = (cells.values.ctypes.data + 8 * row, cells.valid.ctypes.data + row, rows)
            taken = scan_row(data, at, end, table, followers.ctypes.data, targets)
            if not taken or not has_required(fields, cells.valid, row):
                status = SLOW
        cells.status[row] = status
        others += status != DONE
    return others
