"""What the scanner takes by itself: a row that it leaves costs twenty times as much, so ordinary rows are not left."""

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.kernels.arrow import binary_buffers
from millstream.core.kernels.json_scan import DONE, Cells, scan_rows
from millstream.core.kernels.numbers import POWERS, skip_number, whole_number

NAMES = ["n", "größe", "a/b"]
INTEGER_FIELDS = [[0, -(2**63), 2**63 - 1] for _ in NAMES]


def scanned(row: str) -> dict[str, int | None] | None:
    """The integers that the scanner finds in the row; None when it leaves the row."""
    data = np.frombuffer("".join(NAMES).encode(), np.uint8)
    fields, at = [], data.ctypes.data
    for name, kind in zip(map(str.encode, NAMES), INTEGER_FIELDS, strict=True):
        word, mask = int.from_bytes(name[:8], "little"), (1 << 8 * min(8, len(name))) - 1
        fields.append([*kind, 0, at, len(name), word, mask])
        at += len(name)
    cells = Cells(np.empty((3, 1), np.int64), np.zeros((3, 1), np.uint8), np.empty(1, np.uint8))
    buffers = binary_buffers(pa.array([row.encode()], pa.binary()), "value")
    room = np.empty(len(row.encode()), np.uint8)
    more = np.array([room.ctypes.data, len(buffers.data), 0], np.int64)

    scan_rows(buffers, np.array(fields, np.int64), POWERS, cells, more)

    if cells.status[0] != DONE:
        return None
    return {name: int(cells.values[at, 0]) if cells.valid[at, 0] else None for at, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "row",
    [
        '{"n":1732227600123456789}',
        '{"n":9223372036854775807}',
        '{"n":-9223372036854775807}',
        '{"n":200.0}',
        '{"n":-0.0}',
        '{"n":1.7e3}',
        '{"n":1500e-2}',
        '{"n":9007199254740991.0}',
        '{"trace":340282366920938463463374607431768211456,"n":1}',
        '{"trace":18446744073709551615,"n":1}',
        '{"ratio":0.12345678901234567890123,"n":1}',
        '{"gr\\u00f6\\u00dfe":1,"n":2}',
        '{"a\\/b":3}',
        '{"more":{"a\\/b":4,"\\u00e9":[1]},"n":2}',
    ],
)
def test_an_ordinary_row_is_not_left_to_the_slow_path(row: str) -> None:
    members = json.loads(row)

    assert scanned(row) == {name: members.get(name) for name in NAMES}


@pytest.mark.parametrize("row", ['{"n":1.5}', '{"\\ud800":1}', '{"\\x":1}', '{"x":{"\\x":1}}', '{"x":1.}', '{"x":-}'])
def test_what_is_no_such_row_is_left(row: str) -> None:
    assert scanned(row) is None


@settings(max_examples=some(300))
@given(st.integers(0, 10**19 - 1) | st.integers(0, 1000), st.integers(-20, 20) | st.integers(-9999, 9999))
@example(2**53 - 1, 0)
@example(2**53, 0)
@example((2**53 - 1) * 1000, -3)
@example(0, -9999)
def test_whole_numbers_are_those_below_2_to_the_53rd(mantissa: int, power: int) -> None:
    value = mantissa * Fraction(10) ** power
    found, number = whole_number(np.uint64(mantissa), power)

    assert bool(found) == (value.denominator == 1 and value < 2**53)
    assert not found or int(number) == value


numbers = st.text("0123456789", max_size=25) | st.integers().map(str)
pieces = st.tuples(
    st.sampled_from(["", "", "-", "+"]),
    numbers,
    st.just("") | numbers.map(lambda text: "." + text),
    st.just("") | st.tuples(st.sampled_from(["e", "E", "e+", "E-"]), st.integers(0, 99).map(str) | st.just("")),
)


@settings(max_examples=some(300))
@given(pieces.map(lambda parts: "".join("".join(part) for part in parts)))
def test_a_number_that_nobody_wants_is_skipped_whatever_its_length(text: str) -> None:
    data = np.frombuffer(text.encode() or b"\0", np.uint8)

    assert (skip_number(data.ctypes.data, 0, len(text)) == len(text)) == is_number(text)


def is_number(text: str) -> bool:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, (int, float))
