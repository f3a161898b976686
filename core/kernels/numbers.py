"""JSON numbers to int64 and to the nearest double. Pure; callers: kernels/json_scan.py, kernels/log_scan.py.

Doubles by the method of Eisel and Lemire ("Number Parsing at a Gigabyte per Second"): the decimal digits times a
128-bit power of five give the nearest double except in rare cases, which are reported and left to the slow path.
Tests: tests/core/formats/test_numbers.py compares every outcome with Python's float().
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .jit import as_int64, kernel
from .machine import byte_at, leading_zeros, multiply_high, word_at

UInt64s = npt.NDArray[np.uint64]

LOWEST_POWER: Final = -342
HIGHEST_POWER: Final = 308
MOST_DIGITS: Final = 19
ALL_ONES = np.uint64(2**64 - 1)
TEN = np.uint64(10)
MOST_EXACT = np.uint64(2**53)
ZERO_BYTE, MINUS, PLUS, POINT, LOWER_E = (ord(char) for char in "0-+.e")
ZEROS = np.uint64(0x3030303030303030)
SIXES = np.uint64(0x0606060606060606)
HIGH_NIBBLES = np.uint64(0xF0F0F0F0F0F0F0F0)
PAIRS = np.uint64(0x000000FF000000FF)


def power_table() -> UInt64s:
    """Upper and lower half of each power of five from LOWEST_POWER on, scaled to fill 128 bits."""
    halves = []
    for power in range(LOWEST_POWER, HIGHEST_POWER + 1):
        if power >= 0:
            scaled = 5**power << 128
            scaled >>= scaled.bit_length() - 128
        else:
            divisor = 5**-power
            width = (divisor - 1).bit_length()
            scaled = (1 << (width + 127 if power >= -27 else 2 * width + 128)) // divisor + 1
            scaled >>= max(0, scaled.bit_length() - 128)
        halves += [scaled >> 64, scaled & (2**64 - 1)]
    return np.array(halves, np.uint64)


POWERS: Final = power_table()


@kernel
def scan_digits(data: int, at: int, end: int, value: Any) -> tuple[int, Any]:
    """(Position after the decimal digits at `at`, value with them appended); value wraps past 64 bits."""
    while at + 8 <= end:
        word = word_at(data, at)
        nibbles = word ^ ZEROS
        if ((nibbles + SIXES) | nibbles) & HIGH_NIBBLES != np.uint64(0):
            break
        nibbles = (nibbles * np.uint64(10)) + (nibbles >> np.uint64(8))
        upper = (nibbles & PAIRS) * np.uint64(100 + (1000000 << 32))
        lower = ((nibbles >> np.uint64(16)) & PAIRS) * np.uint64(1 + (10000 << 32))
        value = value * np.uint64(100_000_000) + ((upper + lower) >> np.uint64(32))
        at += 8
    while at < end:
        digit = byte_at(data, at) - ZERO_BYTE
        if digit < 0 or digit > 9:
            break
        value = value * np.uint64(10) + np.uint64(digit)
        at += 1
    return at, value


@kernel
def scan_number(data: int, at: int, end: int) -> tuple[int, Any, int, bool, bool]:
    """A JSON number at `at`: (position after it, digits as uint64, power of ten, is negative, is an integer).

    The position is -1 when this is no number, or one with more digits than fit.
    """
    nothing = np.uint64(0)
    is_negative = at < end and byte_at(data, at) == MINUS
    first = at + 1 if is_negative else at
    at, mantissa = scan_digits(data, first, end, nothing)
    digits = at - first
    if digits == 0 or (digits > 1 and byte_at(data, first) == ZERO_BYTE):
        return -1, nothing, 0, False, False
    if digits > MOST_DIGITS:
        return -1, nothing, 0, False, False
    power = 0
    is_integer = True
    if at < end and byte_at(data, at) == POINT:
        is_integer = False
        point = counted = at + 1
        if mantissa == nothing:  # zeros in front fit whatever their number: 0.00012 has two digits
            digits = 0
            while counted < end and byte_at(data, counted) == ZERO_BYTE:
                counted += 1
        at, mantissa = scan_digits(data, counted, end, mantissa)
        power = point - at
        if power == 0 or digits + at - counted > MOST_DIGITS:
            return -1, nothing, 0, False, False
    if at < end and byte_at(data, at) | 0x20 == LOWER_E:
        is_integer = False
        at, exponent = scan_exponent(data, at + 1, end)
        power += exponent
    return at, mantissa, power, is_negative, is_integer


@kernel
def scan_exponent(data: int, at: int, end: int) -> tuple[int, int]:
    sign = byte_at(data, at) if at < end else 0
    first = at + 1 if sign in (MINUS, PLUS) else at
    at, exponent = scan_digits(data, first, end, np.uint64(0))
    if not 1 <= at - first <= 4:
        return -1, 0
    return at, -as_int64(exponent) if sign == MINUS else as_int64(exponent)


@kernel
def skip_number(data: int, at: int, end: int) -> int:
    """Position after a JSON number with any number of digits, or -1."""
    first = at + 1 if at < end and byte_at(data, at) == MINUS else at
    at, _ = scan_digits(data, first, end, np.uint64(0))
    if at == first or (at - first > 1 and byte_at(data, first) == ZERO_BYTE):
        return -1
    if at < end and byte_at(data, at) == POINT:
        first = at + 1
        at, _ = scan_digits(data, first, end, np.uint64(0))
        if at == first:
            return -1
    if at < end and byte_at(data, at) | 0x20 == LOWER_E:
        sign = byte_at(data, at + 1) if at + 1 < end else 0
        first = at + 2 if sign in (MINUS, PLUS) else at + 1
        at, _ = scan_digits(data, first, end, np.uint64(0))
        if at == first:
            return -1
    return at


@kernel
def whole_number(mantissa: Any, power: int) -> tuple[bool, Any]:
    """(found, value) of mantissa * 10**power; not found unless it is whole and small enough for every double."""
    while mantissa != 0 and power < 0 and mantissa % TEN == 0:
        mantissa //= TEN
        power += 1
    while mantissa != 0 and power > 0 and mantissa < MOST_EXACT:
        mantissa *= TEN
        power -= 1
    return mantissa == 0 or (power == 0 and mantissa < MOST_EXACT), mantissa


@kernel
def double_bits(mantissa: Any, power: int, is_negative: bool, powers: int) -> tuple[bool, Any]:
    """(found, bits) of the double nearest to mantissa * 10**power; not found when it is a rare case.

    powers: address of POWERS.
    """
    sign = np.uint64(0x8000000000000000) if is_negative else np.uint64(0)
    if mantissa == 0:
        return True, as_int64(sign)
    if power < LOWEST_POWER or power > HIGHEST_POWER:
        return False, as_int64(0)
    shift = leading_zeros(mantissa)
    mantissa = mantissa << np.uint64(shift)
    at = 16 * (power - LOWEST_POWER)
    high = multiply_high(mantissa, word_at(powers, at))
    low = mantissa * word_at(powers, at)
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):
        carry = multiply_high(mantissa, word_at(powers, at + 8))
        low += carry
        if carry > low:
            high += np.uint64(1)
    if low == ALL_ONES and not -27 <= power <= 55:
        return False, as_int64(0)
    upper_bit = as_int64(high >> np.uint64(63))
    rounded = high >> np.uint64(upper_bit + 9)
    exponent = ((217706 * power) >> 16) + 63 + upper_bit - shift + 1023
    if exponent <= 0:
        return False, as_int64(0)
    is_tie = low <= np.uint64(1) and -4 <= power <= 23 and rounded & np.uint64(3) == np.uint64(1)
    if is_tie and (rounded << np.uint64(upper_bit + 9)) == high:
        rounded -= np.uint64(1)
    rounded = (rounded + (rounded & np.uint64(1))) >> np.uint64(1)
    if rounded >= np.uint64(1 << 53):
        rounded = np.uint64(1 << 52)
        exponent += 1
    if exponent >= 0x7FF:
        return False, as_int64(0)
    fraction = rounded & np.uint64((1 << 52) - 1)
    return True, as_int64(fraction | (np.uint64(exponent) << np.uint64(52)) | sign)
