"""Doubles as their shortest decimal text, in the same words as Python's repr. Pure; caller: kernels/json_write.py.

By the method of Schubfach (R. Giulietti, "The Schubfach way to render doubles"): scaled by a 128-bit power of ten, the
shortest decimal inside the interval that rounds to the double. Tests: tests/core/formats/test_numbers.py, against repr.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .jit import as_int64, inlined, kernel
from .machine import multiply_high, put_byte, word_at

UInt64s = npt.NDArray[np.uint64]

LOWEST_POWER: Final = -292
HIGHEST_POWER: Final = 324
MOST_BYTES: Final = 24
FRACTION = np.uint64((1 << 52) - 1)
HIDDEN_BIT = np.uint64(1 << 52)
TEN = np.uint64(10)
ONE = np.uint64(1)
ZERO, POINT, MINUS, PLUS, LETTER_E = (ord(char) for char in "0.-+e")


def ceiling_powers() -> UInt64s:
    """Lower and upper half of each power of ten, scaled to fill 128 bits and rounded up."""
    halves = []
    for power in range(LOWEST_POWER, HIGHEST_POWER + 1):
        if power >= 0:
            number = 10**power
            shift = number.bit_length() - 128
            scaled = -(-number >> shift) if shift > 0 else number << -shift
        else:
            divisor = 10**-power
            scaled = -(-(1 << divisor.bit_length() + 127) // divisor)
        halves += [scaled & (2**64 - 1), scaled >> 64]
    return np.array(halves, np.uint64)


CEILING_POWERS: Final = ceiling_powers()


@inlined
def round_to_odd(powers: int, power: int, factor: Any) -> Any:
    """Upper part of the power times `factor`, its lowest bit set when anything was cut off."""
    at = 16 * (power - LOWEST_POWER)
    low = word_at(powers, at)
    high = word_at(powers, at + 8)
    carried = high * factor + multiply_high(low, factor)
    upper = multiply_high(high, factor) + (ONE if carried < multiply_high(low, factor) else np.uint64(0))
    return upper | (ONE if carried > ONE else np.uint64(0))


@kernel
def shortest_decimal(bits: Any, powers: int) -> tuple[Any, int]:
    """(Digits, power of ten) of a positive finite double given by its bits."""
    fraction = bits & FRACTION
    exponent = as_int64(bits >> np.uint64(52)) & 0x7FF
    number = fraction | HIDDEN_BIT if exponent else fraction
    scale = exponent - 1075 if exponent else -1074
    if exponent and -52 <= scale <= 0 and (number >> np.uint64(-scale)) << np.uint64(-scale) == number:
        return number >> np.uint64(-scale), 0
    is_closer = fraction == np.uint64(0) and exponent > 1
    power = (scale * 1262611 - (524031 if is_closer else 0)) >> 22
    shift = np.uint64(scale + ((-power * 1741647) >> 19) + 1)
    center = number << np.uint64(2)
    below = round_to_odd(powers, -power, (center - (ONE if is_closer else np.uint64(2))) << shift)
    value = round_to_odd(powers, -power, center << shift)
    above = round_to_odd(powers, -power, (center + np.uint64(2)) << shift)
    odd = number & ONE
    below += odd
    above -= odd
    digits = value >> np.uint64(2)
    if digits >= TEN:
        tenth = digits // TEN
        fits_down = below <= np.uint64(40) * tenth
        fits_up = np.uint64(40) * tenth + np.uint64(40) <= above
        if fits_down != fits_up:
            return tenth + (ONE if fits_up else np.uint64(0)), power + 1
    fits_down = below <= digits << np.uint64(2)
    fits_up = (digits + ONE) << np.uint64(2) <= above
    if fits_down != fits_up:
        return digits + (ONE if fits_up else np.uint64(0)), power
    middle = (digits << np.uint64(2)) + np.uint64(2)
    goes_up = value > middle or (value == middle and digits & ONE == ONE)
    return digits + (ONE if goes_up else np.uint64(0)), power


@inlined
def put_digits(out: int, end: int, digits: Any, count: int) -> None:
    """Write the last `count` decimal digits so that they end at `end`."""
    for index in range(count):
        put_byte(out, end - 1 - index, ZERO + as_int64(digits % TEN))
        digits //= TEN


@kernel
def write_double(out: int, at: int, bits: Any, powers: int) -> int:
    """Write a finite double as repr does, in at most MOST_BYTES: the position after it.

    bits: as uint64. powers: address of CEILING_POWERS.
    """
    if bits >> np.uint64(63):
        put_byte(out, at, MINUS)
        at += 1
        bits &= np.uint64(0x7FFFFFFFFFFFFFFF)
    if bits == np.uint64(0):
        put_byte(out, at, ZERO)
        put_byte(out, at + 1, POINT)
        put_byte(out, at + 2, ZERO)
        return at + 3
    digits, power = shortest_decimal(bits, powers)
    while digits % TEN == np.uint64(0):
        digits //= TEN
        power += 1
    count = 1
    rest = digits // TEN
    while rest:
        rest //= TEN
        count += 1
    point = count + power
    if -4 < point <= 16:
        return write_plain(out, at, digits, count, point)
    return write_scientific(out, at, digits, count, point - 1)


@kernel
def write_plain(out: int, at: int, digits: Any, count: int, point: int) -> int:
    """The digits with the decimal point behind the first `point` of them."""
    if point <= 0:
        put_byte(out, at, ZERO)
        put_byte(out, at + 1, POINT)
        for index in range(-point):
            put_byte(out, at + 2 + index, ZERO)
        put_digits(out, at + 2 - point + count, digits, count)
        return at + 2 - point + count
    if count <= point:
        put_digits(out, at + count, digits, count)
        for index in range(count, point):
            put_byte(out, at + index, ZERO)
        put_byte(out, at + point, POINT)
        put_byte(out, at + point + 1, ZERO)
        return at + point + 2
    fraction = count - point
    put_digits(out, at + count + 1, digits, fraction)
    for _ in range(fraction):
        digits //= TEN
    put_byte(out, at + point, POINT)
    put_digits(out, at + point, digits, point)
    return at + count + 1


@kernel
def write_scientific(out: int, at: int, digits: Any, count: int, exponent: int) -> int:
    if count > 1:
        put_digits(out, at + count + 1, digits, count - 1)
        put_byte(out, at + 1, POINT)
        for _ in range(count - 1):
            digits //= TEN
    put_digits(out, at + 1, digits, 1)
    at += count + 1 if count > 1 else 1
    put_byte(out, at, LETTER_E)
    put_byte(out, at + 1, MINUS if exponent < 0 else PLUS)
    exponent = abs(exponent)
    size = 3 if exponent >= 100 else 2
    put_digits(out, at + 2 + size, np.uint64(exponent), size)
    return at + 2 + size
