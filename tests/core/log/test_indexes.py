"""Offset and time indexes against their definition, and files that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.log.segments.indexes import OFFSET_ENTRY, TIME_ENTRY, OffsetIndex, TimeIndex

RISING = st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), max_size=30)


def offset_index(steps: list[tuple[int, int]]) -> tuple[OffsetIndex, list[tuple[int, int]]]:
    index, entries, offset, position = OffsetIndex(), [], 0, 0
    for by_offset, by_position in steps:
        offset, position = offset + by_offset, position + by_position
        index.add(offset, position)
        entries.append((offset, position))
    return index, entries


@given(RISING, st.integers(0, 40_000))
def test_the_entry_before_an_offset_is_the_last_smaller_one(steps: list[tuple[int, int]], offset: int) -> None:
    index, entries = offset_index(steps)

    assert index.before(offset) == max([entry for entry in entries if entry[0] < offset], default=(-1, 0))


@given(RISING)
def test_an_offset_index_survives_its_file_and_zeros_behind_it(steps: list[tuple[int, int]]) -> None:
    index, entries = offset_index(steps)

    for data in (index.encode(), index.encode() + bytes(80)):
        read = OffsetIndex.decode(data, log_bytes=10**6)
        assert len(read) == len(entries)
        assert read.last == (entries[-1] if entries else (-1, 0))


@pytest.mark.parametrize("entries", [[(5, 100), (5, 200)], [(5, 100), (6, 100)], [(5, 1000)], [(5, 0)]])
def test_an_offset_index_that_does_not_rise_or_points_outside_is_refused(entries: list[tuple[int, int]]) -> None:
    index = OffsetIndex()
    for entry in entries:
        index.add(*entry)

    with pytest.raises(ValueError, match="offset index entry"):
        OffsetIndex.decode(index.encode(), log_bytes=1000)


def test_the_file_has_eight_bytes_for_each_entry() -> None:
    index = OffsetIndex()
    index.add(3, 4097)

    assert index.encode().hex() == "0000000300001001"
    assert index.encode(1) == b""


@given(st.lists(st.tuples(st.integers(-1, 50), st.integers(1, 9)), max_size=30), st.integers(-5, 60))
def test_up_to_the_entry_before_a_time_everything_is_older(batches: list[tuple[int, int]], wanted_ms: int) -> None:
    index, offset, newest = TimeIndex(), 0, (-1, 0)
    timestamps = {}
    for timestamp_ms, count in batches:
        timestamps[offset] = timestamp_ms
        offset += count
        newest = max(newest, (timestamp_ms, offset - 1), key=lambda entry: entry[0])
        index.add(*newest)

    start = index.before(wanted_ms)

    assert all(timestamp_ms < max(wanted_ms, 0) for base, timestamp_ms in timestamps.items() if base < start)


def test_a_time_index_survives_its_file_and_zeros_behind_it() -> None:
    index = TimeIndex()
    for entry in [(1000, 4), (1000, 9), (2000, 9), (1500, 12)]:
        index.add(*entry)

    assert index.encode().hex() == "00000000000003e80000000400000000000007d000000009"
    assert TimeIndex.decode(index.encode() + bytes(24)).last == (2000, 9)


def test_a_time_index_that_falls_is_refused() -> None:
    data = bytes.fromhex("00000000000007d00000000900000000000003e80000000c")

    with pytest.raises(ValueError, match="time index entry"):
        TimeIndex.decode(data)


def test_an_entry_that_another_thread_is_just_adding_is_left_for_the_next_time() -> None:
    index, times = OffsetIndex(), TimeIndex()
    index.add(5, 100)
    times.add(1_000, 5)
    index._offsets.append(9)
    times._timestamps.append(2_000)

    assert index.encode() == OFFSET_ENTRY.pack(5, 100)
    assert times.encode() == TIME_ENTRY.pack(1_000, 5)
