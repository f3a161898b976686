"""Lines of the common and combined log formats to columns. Pure; caller: formats/logs.py.

`data` is an address; every position is checked against the end of the line before it is read. Quoted fields end at a
quote that no backslash precedes, as Apache and nginx write them, and are kept as they were logged.
Source: Apache's mod_log_config. Tests: tests/core/formats/test_logs.py, against Python's re.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .arrow import BinaryBuffers
from .jit import as_int64, inlined, kernel
from .machine import byte_at, put_byte, put_int64, trailing_zeros, word_at
from .numbers import scan_digits
from .text import DAY_MS, LENGTH_BITS, NO_TIME, days_in_month, days_since_1970, digits_at, is_utf8

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]

HOST, IDENTITY, USER, TIME, METHOD, PATH, PROTOCOL, STATUS, SIZE, REFERER, AGENT = range(11)
COLUMNS: Final = 11
TIME_BYTES: Final = 26
MOST_DIGITS: Final = 18

FAULTS: Final = (
    "",
    "null value",
    "empty line",
    "no host, identity and user before a time in brackets",
    "no time such as [17/May/2015:10:05:03 +0000] after the user",
    "no request in quotes after the time",
    "no status of three digits after the request",
    "no size, digits or a dash, after the status",
    "no referer in quotes after the size",
    "no agent in quotes after the referer",
    "text after the last field",
    "not UTF-8",
    "more than host, identity and user before the time",
)
(TAKEN, NULL_ROW, EMPTY, BAD_USER, BAD_TIME, BAD_REQUEST, BAD_STATUS, BAD_SIZE, BAD_REFERER, BAD_AGENT, TEXT_LEFT,
 NOT_UTF8, FIELD_MORE) = range(13)  # fmt: skip

SPACE, QUOTE, BACKSLASH, DASH, PLUS, COLON, SLASH, OPEN, CLOSE = (ord(char) for char in ' "\\-+:/[]')
UPPER_A, UPPER_Z = ord("A"), ord("Z")
HTTP: Final = int.from_bytes(b"HTTP/", "little")
QUOTES = np.uint64(0x2222222222222222)
BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
ONES = np.uint64(0x0101010101010101)
HIGH_BITS = np.uint64(0x8080808080808080)
MONTH_NAMES: Final = b"JanFebMarAprMayJunJulAugSepOctNovDec"


@inlined
def put_field(data: int, target: Any, column: int, start: int, end: int) -> None:
    """Store a text's place in a column; a lone dash stands for nothing.

    target: (address of the row's first value, of its first validity, number of rows).
    """
    values, valid, rows = target
    put_int64(values, column * rows, (start << LENGTH_BITS) | (end - start))
    put_byte(valid, column * rows, not (end - start == 1 and byte_at(data, start) == DASH))


@inlined
def put_number(target: Any, column: int, value: int, is_value: bool) -> None:
    values, valid, rows = target
    put_int64(values, column * rows, value)
    put_byte(valid, column * rows, is_value)


@inlined
def end_of_word(data: int, at: int, end: int) -> int:
    while at < end and byte_at(data, at) != SPACE:
        at += 1
    return at


@kernel
def end_of_quoted(data: int, at: int, end: int) -> int:
    """Position of the closing quote of a field that opens at `at`, behind one space; -1 when there is none."""
    if end - at < 3 or byte_at(data, at) != SPACE or byte_at(data, at + 1) != QUOTE:
        return -1
    at += 2
    while at < end:
        if at + 8 <= end:
            quotes = word_at(data, at) ^ QUOTES
            slashes = word_at(data, at) ^ BACKSLASHES
            hits = (((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes)) & HIGH_BITS
            if hits == np.uint64(0):
                at += 8
                continue
            at += trailing_zeros(hits) >> 3
        byte = byte_at(data, at)
        if byte == QUOTE:
            return at
        at += 2 if byte == BACKSLASH else 1
    return -1


@inlined
def month_at(data: int, at: int) -> int:
    """1 to 12 for the first three letters of an English month; 0 for anything else."""
    for month in range(12):
        if (
            byte_at(data, at) == MONTH_NAMES[3 * month]
            and byte_at(data, at + 1) == MONTH_NAMES[3 * month + 1]
            and byte_at(data, at + 2) == MONTH_NAMES[3 * month + 2]
        ):
            return month + 1
    return 0


@kernel
def log_time_ms(data: int, at: int) -> int:
    """Time of the 26 bytes at `at`, such as `17/May/2015:10:05:03 +0000`; NO_TIME for anything else."""
    day, month, year = digits_at(data, at, 2), month_at(data, at + 3), digits_at(data, at + 7, 4)
    hour, minute, second = digits_at(data, at + 12, 2), digits_at(data, at + 15, 2), digits_at(data, at + 18, 2)
    zone_hour, zone_minute = digits_at(data, at + 22, 2), digits_at(data, at + 24, 2)
    sign = byte_at(data, at + 21)
    dates = byte_at(data, at + 2) == SLASH and byte_at(data, at + 6) == SLASH and byte_at(data, at + 11) == COLON
    times = byte_at(data, at + 14) == COLON and byte_at(data, at + 17) == COLON and byte_at(data, at + 20) == SPACE
    if month == 0 or year < 1 or not dates or not times or sign not in (PLUS, DASH):
        return NO_TIME
    if not 1 <= day <= days_in_month(year, month) or not 0 <= hour <= 23 or not 0 <= minute <= 59:
        return NO_TIME
    if not 0 <= second <= 59 or not 0 <= zone_hour <= 23 or not 0 <= zone_minute <= 59:
        return NO_TIME
    east = zone_hour * 60 + zone_minute
    minute -= east if sign == PLUS else -east
    return days_since_1970(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000


@kernel
def scan_user(data: int, at: int, end: int, target: Any) -> int:
    """Host, identity and user, which may hold spaces: the position of the bracket that opens the time.

    A bracket that closes where a time ends goes before one that does not. What is wrong is negative: a user that begins
    with a dash and a space is an identity and a user, behind a field that stands before the host.
    """
    for column in (HOST, IDENTITY):
        stop = end_of_word(data, at, end)
        if stop in (at, end):
            return -BAD_USER
        put_field(data, target, column, at, stop)
        at = stop + 1
    found = -BAD_USER
    for stop in range(at + 1, end - 1):
        if byte_at(data, stop) == SPACE and byte_at(data, stop + 1) == OPEN:
            closing = stop + 2 + TIME_BYTES
            is_time = closing < end and byte_at(data, closing) == CLOSE
            if is_time or found < 0:
                found = stop + 1
                put_field(data, target, USER, at, stop)
            if is_time:
                break
    if found > at + 2 and byte_at(data, at) == DASH and byte_at(data, at + 1) == SPACE:
        return -FIELD_MORE
    return found


@kernel
def split_request(data: int, at: int, end: int, target: Any) -> None:
    """`GET /path HTTP/1.1` as method, path and protocol, which may lack; else all of it is the path."""
    put_field(data, target, PATH, at, end)
    stop = at
    while stop < end and UPPER_A <= byte_at(data, stop) <= UPPER_Z:
        stop += 1
    if stop == at or stop + 1 >= end or byte_at(data, stop) != SPACE or byte_at(data, stop + 1) == SPACE:
        return
    last = end
    for index in range(end - 1, max(stop, end - 12), -1):
        if byte_at(data, index) == SPACE:
            if end - index > 6 and is_http(data, index + 1):
                last = index
                put_field(data, target, PROTOCOL, index + 1, end)
            break
    put_field(data, target, METHOD, at, stop)
    put_field(data, target, PATH, stop + 1, last)


@inlined
def is_http(data: int, at: int) -> bool:
    word = byte_at(data, at) | byte_at(data, at + 1) << 8 | byte_at(data, at + 2) << 16 | byte_at(data, at + 3) << 24
    return bool(word | byte_at(data, at + 4) << 32 == HTTP)


@kernel
def scan_line(data: int, at: int, end: int, is_combined: bool, target: Any) -> int:
    """Fill the row: TAKEN, or what is wrong with the line."""
    while end > at and byte_at(data, end - 1) <= SPACE:
        end -= 1
    if at == end:
        return EMPTY
    first = at
    at = scan_user(data, at, end, target)
    if at < 0:
        return -at
    if end - at < TIME_BYTES + 2 or byte_at(data, at + TIME_BYTES + 1) != CLOSE:
        return BAD_TIME
    time_ms = log_time_ms(data, at + 1)
    if time_ms == NO_TIME:
        return BAD_TIME
    put_number(target, TIME, time_ms, True)
    at += TIME_BYTES + 2
    stop = end_of_quoted(data, at, end)
    if stop < 0:
        return BAD_REQUEST
    split_request(data, at + 2, stop, target)
    at = stop + 1
    if end - at < 4 or byte_at(data, at) != SPACE or (end - at > 4 and byte_at(data, at + 4) != SPACE):
        return BAD_STATUS
    status = digits_at(data, at + 1, 3)
    if status < 0:
        return BAD_STATUS
    put_number(target, STATUS, status, True)
    at = scan_size(data, at + 4, end, target)
    if at < 0:
        return BAD_SIZE
    if is_combined:
        for column in (REFERER, AGENT):
            stop = end_of_quoted(data, at, end)
            if stop < 0:
                return BAD_REFERER if column == REFERER else BAD_AGENT
            put_field(data, target, column, at + 2, stop)
            at = stop + 1
    if at != end:
        return TEXT_LEFT
    return TAKEN if is_utf8(data, first, end) else NOT_UTF8


@kernel
def scan_size(data: int, at: int, end: int, target: Any) -> int:
    """The size behind one space, a dash for none: position after it, or -1."""
    if end - at < 2 or byte_at(data, at) != SPACE:
        return -1
    if byte_at(data, at + 1) == DASH:
        put_number(target, SIZE, 0, False)
        stop = at + 2
    else:
        stop, size = scan_digits(data, at + 1, end, np.uint64(0))
        if not 1 <= stop - at - 1 <= MOST_DIGITS:
            return -1
        put_number(target, SIZE, as_int64(size), True)
    return stop if stop == end or byte_at(data, stop) == SPACE else -1


@kernel
def scan_lines(lines: BinaryBuffers, is_combined: bool, values: Int64s, valid: Bytes, faults: Bytes) -> int:
    """Fill values[column, row] and valid, which must be zeros; faults[row] says what is wrong; the number of faults."""
    data = lines.data.ctypes.data
    rows = len(faults)
    count = 0
    for row in range(rows):
        bit = lines.first_bit + row
        if len(lines.validity) and not (lines.validity[bit >> 3] >> (bit & 7)) & 1:
            fault = NULL_ROW
        else:
            target = (values.ctypes.data + 8 * row, valid.ctypes.data + row, rows)
            fault = scan_line(data, as_int64(lines.ends[row]), as_int64(lines.ends[row + 1]), is_combined, target)
        faults[row] = fault
        count += fault != TAKEN
    return count
