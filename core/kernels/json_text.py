"""Strings of JSON: where they end, their escapes, and literals. Pure; used by kernels/json_scan.py.

`data` is an address; every position is checked against the end of the row before it is read.
Source: RFC 8259, section 7. Tests: tests/core/formats/test_json.py.
"""

from typing import Final

import numpy as np

from .jit import as_int64, inlined, kernel
from .machine import byte_at, put_byte, trailing_zeros, word_at

QUOTES = np.uint64(0x2222222222222222)
BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
BLANKS = np.uint64(0x2020202020202020)
ONES = np.uint64(0x0101010101010101)
HIGH_BITS = np.uint64(0x8080808080808080)

QUOTE, BACKSLASH, SLASH, LETTER_U, LETTER_F, SPACE = (ord(char) for char in '"\\/uf ')
TAB, LINE_FEED, CARRIAGE_RETURN = (ord(char) for char in "\t\n\r")
ESCAPES: Final = b'"\\/bfnrt'
ESCAPED: Final = b'"\\/\b\f\n\r\t'
TRUE_WORD, ALSE_WORD, NULL_WORD = (int.from_bytes(text, "little") for text in (b"true", b"alse", b"null"))
LONE: Final = -1


@inlined
def skip_blank(data: int, at: int, end: int) -> int:
    while at < end:
        byte = byte_at(data, at)
        if byte > SPACE or (byte != SPACE and byte != LINE_FEED and byte != CARRIAGE_RETURN and byte != TAB):
            break
        at += 1
    return at


@kernel
def end_of_string(data: int, at: int, end: int) -> tuple[int, bool, bool]:
    """From behind the opening quote: (position of the closing one or -1, has escapes, has bytes beyond ASCII)."""
    has_escape = False
    beyond_ascii = False
    while at < end:
        if at + 8 <= end:
            word = word_at(data, at)
            quotes = word ^ QUOTES
            slashes = word ^ BACKSLASHES
            hits = ((quotes - ONES) & ~quotes) | ((slashes - ONES) & ~slashes) | ((word - BLANKS) & ~word) | word
            hits &= HIGH_BITS
            if hits == np.uint64(0):
                at += 8
                continue
            at += trailing_zeros(hits) >> 3
        byte = byte_at(data, at)
        if byte == QUOTE:
            return at, has_escape, beyond_ascii
        if byte < SPACE:
            return -1, has_escape, beyond_ascii
        if byte == BACKSLASH:
            has_escape = True
            at += 1
        beyond_ascii |= byte >= 0x80
        at += 1
    return -1, has_escape, beyond_ascii


@kernel
def four_bytes(data: int, at: int) -> int:
    lower = byte_at(data, at) | (byte_at(data, at + 1) << 8)
    return as_int64(lower | (byte_at(data, at + 2) << 16) | (byte_at(data, at + 3) << 24))


@kernel
def literal_length(data: int, at: int, end: int) -> int:
    """Length of `true`, `false` or `null` at `at`; 0 for anything else."""
    if end - at < 4:
        return 0
    word = four_bytes(data, at)
    if word in (TRUE_WORD, NULL_WORD):
        return 4
    if end - at >= 5 and byte_at(data, at) == LETTER_F and four_bytes(data, at + 1) == ALSE_WORD:
        return 5
    return 0


@kernel
def code_unit(data: int, at: int, end: int) -> int:
    """The number that the four hexadecimal digits behind a backslash and u at `at` give; LONE without them."""
    if end - at < 6 or byte_at(data, at) != BACKSLASH or byte_at(data, at + 1) != LETTER_U:
        return LONE
    value = 0
    for index in range(at + 2, at + 6):
        digit = byte_at(data, index)
        lower = digit | 0x20
        if 48 <= digit <= 57:
            value = value * 16 + digit - 48
        elif 97 <= lower <= 102:
            value = value * 16 + lower - 87
        else:
            return LONE
    return value


@kernel
def put_utf8(out: int, to: int, code: int) -> int:
    """Write a code point: the position after it."""
    if code < 0x80:
        put_byte(out, to, code)
        return to + 1
    if code < 0x800:
        put_byte(out, to, 0xC0 | (code >> 6))
        put_byte(out, to + 1, 0x80 | (code & 0x3F))
        return to + 2
    if code < 0x10000:
        put_byte(out, to, 0xE0 | (code >> 12))
        put_byte(out, to + 1, 0x80 | ((code >> 6) & 0x3F))
        put_byte(out, to + 2, 0x80 | (code & 0x3F))
        return to + 3
    put_byte(out, to, 0xF0 | (code >> 18))
    put_byte(out, to + 1, 0x80 | ((code >> 12) & 0x3F))
    put_byte(out, to + 2, 0x80 | ((code >> 6) & 0x3F))
    put_byte(out, to + 3, 0x80 | (code & 0x3F))
    return to + 4


@kernel
def unescape(data: int, at: int, end: int, out: int, to: int) -> int:
    """Write the text of a string, which is no longer than the string: the position after it.

    -1 for an escape that JSON lacks, and for half of a surrogate pair, which no UTF-8 can hold.
    """
    while at < end:
        byte = byte_at(data, at)
        if byte != BACKSLASH:
            put_byte(out, to, byte)
            to += 1
            at += 1
            continue
        kind = byte_at(data, at + 1) if at + 1 < end else 0
        if kind == LETTER_U:
            code = code_unit(data, at, end)
            at += 6
            if 0xD800 <= code < 0xDC00:
                low = code_unit(data, at, end)
                at += 6
                if not 0xDC00 <= low < 0xE000:
                    return -1
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            elif code == LONE or 0xDC00 <= code < 0xE000:
                return -1
            to = put_utf8(out, to, code)
            continue
        found = -1
        for index in range(len(ESCAPES)):
            if ESCAPES[index] == kind:
                found = index
        if found < 0:
            return -1
        put_byte(out, to, as_int64(ESCAPED[found]))
        to += 1
        at += 2
    return to
