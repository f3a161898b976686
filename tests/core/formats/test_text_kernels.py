"""UTF-8 and time kernels against Python's decoder and datetime."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.kernels.text import NO_TIME, is_utf8, iso_time_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
zones = st.none() | st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def utf8(data: bytes) -> bool:
    array = np.frombuffer(data or b"\0", np.uint8)
    return bool(is_utf8(array.ctypes.data, 0, len(data)))


def time_ms(text: str) -> int | None:
    array = np.frombuffer(text.encode() or b"\0", np.uint8)
    found = int(iso_time_ms(array.ctypes.data, 0, len(array)))
    return None if found == NO_TIME else found


def is_decodable(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(max_examples=some(300))
@given(st.text().map(str.encode), st.binary(max_size=4), st.integers(0, 30))
def test_utf8_is_what_python_decodes(text: bytes, noise: bytes, at: int) -> None:
    mixed = text[:at] + noise + text[at:]

    assert utf8(text)
    assert utf8(mixed) == is_decodable(mixed)


def test_every_two_bytes_and_every_edge_of_longer_forms_agree_with_python() -> None:
    edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xEC, 0xED, 0xEF, 0xF0, 0xF4]
    cases = [bytes([first, second]) for first in range(256) for second in range(256)]
    cases += [bytes([a, b, c, d]) for a in range(0xE0, 0xF6) for b in edges for c in edges for d in edges]

    assert [case for case in cases if utf8(case) != is_decodable(case)] == []


@settings(max_examples=some(300))
@given(
    st.datetimes(), zones, st.sampled_from("T "), st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"])
)
def test_times_are_what_datetime_gives(time: datetime, zone: timezone | None, separator: str, precision: str) -> None:
    text = time.replace(tzinfo=zone).isoformat(separator, precision)
    exact = datetime.fromisoformat(text).replace(tzinfo=zone or UTC)

    assert time_ms(text) == (exact - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T00:00:00Z", 1709164800000),
        ("2024-02-29T00:00:00.123456789Z", 1709164800123),
        ("2024-02-29 00:00:00,123", 1709164800123),
        ("2024-02-29T01:00:00+0100", 1709164800000),
        ("2024-02-29T01:00:00+01", 1709164800000),
        ("2023-02-29T00:00:00Z", None),
        ("1900-02-29T00:00:00Z", None),
        ("2024-13-01T00:00:00Z", None),
        ("2024-00-01T00:00:00Z", None),
        ("2024-01-00T00:00:00Z", None),
        ("2024-01-01T24:00:00Z", None),
        ("2024-01-01T00:60:00Z", None),
        ("2024-01-01T00:00:60Z", None),
        ("2024-01-01T00:00:00.Z", None),
        ("2024-01-01T00:00:00,Z", None),
        ("2024-01-01T00:00:00.1234567890Z", None),
        ("2024-01-01T00:00:00+24:00", None),
        ("2024-01-01T00:00:00+1:00", None),
        ("2024-01-01T00:00:00ZZ", None),
        ("2024-01-01x00:00:00", None),
        ("0000-01-01T00:00:00", None),
        ("2024-01-01", None),
        ("", None),
    ],
)
def test_times_by_hand(text: str, expected: int | None) -> None:
    assert time_ms(text) == expected
