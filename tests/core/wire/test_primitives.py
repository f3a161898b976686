"""Numbers of variable length, against their definition: groups of seven bits, the lowest first."""

import pytest

from millstream.core.errors import WireError
from millstream.core.wire.primitives import read_uvarint, uvarint

BORDERS = [0, 1, 127, 128, 129, 16_383, 16_384, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 2**31, 2**32 - 1]


def groups(value: int) -> bytes:
    sevens = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(seven | 0x80 for seven in sevens[:-1]), sevens[-1]])


@pytest.mark.parametrize("value", BORDERS)
def test_numbers_are_written_and_read_in_groups_of_seven_bits(value: int) -> None:
    assert uvarint(value) == groups(value)
    assert read_uvarint(b"x" + groups(value) + b"y", 1) == (value, 1 + len(groups(value)))


@pytest.mark.parametrize("data", [b"\x80\x80\x80\x80\x10", b"\xff" * 5, b"\xff\xff\xff\xff\xff\x01"])
def test_a_number_of_more_than_32_bits_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="more than 32 bits"):
        read_uvarint(data, 0)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80\x80"])
def test_a_number_that_is_cut_off_is_an_index_error_to_the_codecs(data: bytes) -> None:
    with pytest.raises(IndexError):
        read_uvarint(data, 0)
