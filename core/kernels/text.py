"""Pieces of text that scanners share: UTF-8, ISO-8601 times, gathering of strings. Pure.

Tests: tests/core/formats/test_text_kernels.py, against Python's own decoder and datetime.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .jit import as_int64, kernel
from .machine import byte_at, copy_memory, word_at

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

LENGTH_BITS: Final = 31
SLACK: Final = 32
LENGTH_MASK: Final = 2**31 - 1
NO_TIME: Final = -(2**63)
HIGH_BITS = np.uint64(0x8080808080808080)
DAY_MS: Final = 86_400_000
ZERO, MINUS, PLUS, POINT, COMMA, COLON, SPACE, LETTER_T, LETTER_Z = (ord(char) for char in "0-+.,: TZ")


@kernel
def is_utf8(data: int, at: int, end: int) -> bool:
    """Whether the bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF."""
    while at < end:
        if at + 8 <= end and word_at(data, at) & HIGH_BITS == np.uint64(0):
            at += 8
            continue
        first = byte_at(data, at)
        if first < 0x80:
            at += 1
            continue
        if first < 0xC2 or first > 0xF4:
            return False
        count = 1 + (first >= 0xE0) + (first >= 0xF0)
        if end - at <= count:
            return False
        low = 0xA0 if first == 0xE0 else (0x90 if first == 0xF0 else 0x80)
        high = 0x9F if first == 0xED else (0x8F if first == 0xF4 else 0xBF)
        if not low <= byte_at(data, at + 1) <= high:
            return False
        for index in range(at + 2, at + 1 + count):
            if byte_at(data, index) & 0xC0 != 0x80:
                return False
        at += 1 + count
    return True


@kernel
def mark_bad_text(ends: Int32s, data: Bytes, is_bad: Bytes) -> int:
    """Set is_bad[row] for values that are not UTF-8; how many there are."""
    count = 0
    for row in range(len(is_bad)):
        if not is_utf8(data.ctypes.data, as_int64(ends[row]), as_int64(ends[row + 1])):
            is_bad[row] = 1
            count += 1
    return count


class Texts(NamedTuple):
    """Texts of several columns: column c's place of row r is values[indexes[c], r], null unless valid[indexes[c], r].

    A place is position << LENGTH_BITS | length; positions from len(data) on lie in `more`.
    """

    indexes: Int64s
    values: Int64s
    valid: Bytes
    rows: Int64s
    data: Bytes
    more: Bytes


@kernel
def size_texts(texts: Texts, sizes: Int64s) -> None:
    """Bytes of each column's texts in texts.rows together."""
    for column in range(len(texts.indexes)):
        index = texts.indexes[column]
        total = 0
        for row in texts.rows:
            total += (texts.values[index, row] & LENGTH_MASK) * texts.valid[index, row]
        sizes[column] = total


@kernel
def gather_texts(texts: Texts, starts: Int64s, ends: Int32s, out: int) -> None:
    """Copy the texts of column c, in the order of texts.rows, to out + starts[c], and their ends to ends[c].

    Behind each column's texts there are SLACK bytes of room. Row by row, so that a line is still in the cache for all
    its columns; a short text is copied whole blocks at a time, which spares a call.
    """
    size = len(texts.data)
    here = texts.data.ctypes.data
    there = texts.more.ctypes.data - size
    cursors = starts.copy()
    for column in range(len(starts)):
        ends[column, 0] = 0
    for number in range(len(texts.rows)):
        row = texts.rows[number]
        for column in range(len(starts)):
            index = texts.indexes[column]
            to = cursors[column]
            if texts.valid[index, row]:
                at = texts.values[index, row] >> LENGTH_BITS
                length = texts.values[index, row] & LENGTH_MASK
                if length <= SLACK and at + SLACK <= size:
                    copy_memory(here + at, out + to, 16)
                    if length > 16:
                        copy_memory(here + at + 16, out + to + 16, 16)
                else:
                    copy_memory((here if at < size else there) + at, out + to, length)
                to += length
                cursors[column] = to
            ends[column, number + 1] = to - starts[column]


@kernel
def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1 January 1970 in the proleptic Gregorian calendar; years count from March on inside."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@kernel
def days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel
def digits_at(data: int, at: int, count: int) -> int:
    """The number that `count` decimal digits give, or a large negative one when some byte is no digit."""
    value = 0
    for index in range(at, at + count):
        digit = byte_at(data, index) - ZERO
        if digit < 0 or digit > 9:
            return -1_000_000_000
        value = value * 10 + digit
    return value


@kernel
def zone_minutes(data: int, at: int, end: int) -> int:
    """Minutes east of UTC of `Z`, `+hh:mm`, `+hhmm` or `+hh`; 10,000 for anything else."""
    if end - at == 1 and byte_at(data, at) == LETTER_Z:
        return 0
    length = end - at
    if (
        length not in (3, 5, 6)
        or (byte_at(data, at) != PLUS and byte_at(data, at) != MINUS)
        or (length == 6 and byte_at(data, at + 3) != COLON)
    ):
        return 10_000
    hours = digits_at(data, at + 1, 2)
    minutes = digits_at(data, end - 2, 2) if length > 3 else 0
    if not (0 <= hours <= 23 and 0 <= minutes <= 59):
        return 10_000
    return -(hours * 60 + minutes) if byte_at(data, at) == MINUS else hours * 60 + minutes


@kernel
def iso_time_ms(data: int, at: int, end: int) -> Any:
    """Milliseconds since 1970 of `YYYY-MM-DDThh:mm:ss[.fraction][zone]`, UTC without a zone; else NO_TIME.

    A space may stand for the T, a comma for the point; a fraction has 1 to 9 digits, those after the third are dropped.
    """
    if end - at < 19 or byte_at(data, at + 4) != MINUS or byte_at(data, at + 7) != MINUS:
        return NO_TIME
    if (
        (byte_at(data, at + 10) != LETTER_T and byte_at(data, at + 10) != SPACE)
        or byte_at(data, at + 13) != COLON
        or byte_at(data, at + 16) != COLON
    ):
        return NO_TIME
    year = digits_at(data, at, 4)
    month = digits_at(data, at + 5, 2)
    day = digits_at(data, at + 8, 2)
    hour = digits_at(data, at + 11, 2)
    minute = digits_at(data, at + 14, 2)
    second = digits_at(data, at + 17, 2)
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return NO_TIME
    if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
        return NO_TIME
    at += 19
    millis = 0
    if at < end and (byte_at(data, at) == POINT or byte_at(data, at) == COMMA):
        at += 1
        scale = 100
        first = at
        while at < end and 0 <= byte_at(data, at) - ZERO <= 9:
            millis += (byte_at(data, at) - ZERO) * scale
            scale //= 10
            at += 1
        if not 1 <= at - first <= 9:
            return NO_TIME
    if at < end:
        offset = zone_minutes(data, at, end)
        if offset == 10_000:
            return NO_TIME
        minute -= offset
    return days_since_1970(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + millis
