"""Ranges of the filesystem sink: whole, contiguous, and cut at the same rows however the input was cut."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.connect.sinks.filesystem.buffer import Chunk, ClosedRange, PartitionBuffer
from millstream.connect.sinks.filesystem.paths import kafka_directories
from millstream.connect.sinks.filesystem.rotation import RotationRules

OFF = -1


def rules(
    flush_size: int = 1_000_000, interval_ms: int = OFF, schedule_ms: int = OFF, idle_ms: int = OFF
) -> RotationRules:
    return RotationRules(flush_size, OFF, interval_ms, schedule_ms, idle_ms)


def chunk(first_offset: int, times_ms: Sequence[int]) -> Chunk:
    columns = pa.RecordBatch.from_pydict({"time": pa.array(times_ms, pa.int64())})
    offsets = np.arange(first_offset, first_offset + len(times_ms), dtype=np.int64)
    return Chunk(columns, offsets, np.array(times_ms, np.int64), kafka_directories(columns, 0))


def offsets(part: ClosedRange) -> list[int]:
    return [int(offset) for piece in part.chunks for offset in piece.offsets]


def reference_cuts(times_ms: Sequence[int], flush_size: int, interval_ms: int) -> list[list[int]]:
    """Row by row, from the definition."""
    closed: list[list[int]] = []
    current: list[int] = []
    for offset, time_ms in enumerate(times_ms):
        if current and time_ms - times_ms[current[0]] >= interval_ms:
            closed.append(current)
            current = []
        current.append(offset)
        if len(current) == flush_size:
            closed.append(current)
            current = []
    return closed


@given(
    st.lists(st.integers(0, 300), max_size=60),
    st.integers(1, 20),
    st.integers(1, 200),
    st.lists(st.integers(1, 25), min_size=1, max_size=10),
)
def test_rows_and_record_time_cut_where_the_definition_says_for_any_batches(
    times_ms: list[int], flush_size: int, interval_ms: int, sizes: list[int]
) -> None:
    buffer = PartitionBuffer(rules(flush_size, interval_ms), 0)
    start = 0
    while start < len(times_ms):
        size = sizes[start % len(sizes)]
        piece = times_ms[start : start + size]
        buffer.add(chunk(start, piece), end=start + len(piece), now_ms=0)
        start += len(piece)

    closed = list(buffer.closed)

    assert [offsets(part) for part in closed] == reference_cuts(times_ms, flush_size, interval_ms)
    assert [part.end for part in closed] == [offsets(part)[-1] + 1 for part in closed]


def test_rows_that_could_not_be_converted_belong_to_the_range_around_them() -> None:
    buffer = PartitionBuffer(rules(flush_size=2), 10)

    buffer.add(chunk(10, [1]), end=15, now_ms=0)
    assert (buffer.position, buffer.safe_offset) == (15, 10)
    buffer.add(chunk(20, [1, 1]), end=30, now_ms=0)
    buffer.close()

    assert [(offsets(part), part.end) for part in buffer.closed] == [([10, 20], 21), ([21], 30)]


def test_with_nothing_held_reading_may_go_on_at_the_position() -> None:
    buffer = PartitionBuffer(rules(), 10)

    buffer.add(chunk(10, []), end=25, now_ms=0)

    assert buffer.safe_offset == 25


def test_silence_and_the_wall_clock_close_a_range() -> None:
    idle = PartitionBuffer(rules(idle_ms=100), 0)
    idle.add(chunk(0, [1]), end=1, now_ms=1_000)
    for now_ms in (901, 1_099):
        idle.close_if_due(now_ms)
        assert not idle.closed
    idle.close_if_due(1_100)
    assert [offsets(part) for part in idle.closed] == [[0]]

    scheduled = PartitionBuffer(rules(schedule_ms=60_000), 0)
    scheduled.add(chunk(0, [1]), end=1, now_ms=59_000)
    scheduled.close_if_due(59_999)
    assert not scheduled.closed
    scheduled.close_if_due(60_000)
    assert [offsets(part) for part in scheduled.closed] == [[0]]


@pytest.mark.parametrize("rule", [{"idle_ms": 100}, {"schedule_ms": 60_000}])
def test_rows_do_not_wait_for_a_clock_that_was_set_back(rule: dict[str, int]) -> None:
    """An hour back, and the last rows of a quiet partition were committed an hour later."""
    buffer = PartitionBuffer(rules(**rule), 0)
    buffer.add(chunk(0, [1]), end=1, now_ms=3_600_050)

    buffer.close_if_due(3_600_049)
    assert not buffer.closed
    buffer.close_if_due(50)

    assert [offsets(part) for part in buffer.closed] == [[0]]
