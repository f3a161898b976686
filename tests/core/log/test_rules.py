"""When a segment is full, and which old ones go."""

import pytest

from millstream.core.config import TOPIC_CONFIG, LogConfig
from millstream.core.log.rules import SegmentState, deletable_segments, empty_segment_room, roll_jitter_ms, segment_room

HOUR_MS = 3_600_000


def rolls(config: LogConfig, **changed: int) -> bool:
    """Whether an append of 100 bytes begins a new segment, behind one whose first record is of the year 1970."""
    state = {
        "size_bytes": 500, "base_offset": 0, "first_ms": 0, "jitter_ms": 0, "index_entries": 0, "newest_ms": 0,
        "append_bytes": 100, "append_last_offset": 10,
    } | changed  # fmt: skip
    room = empty_segment_room(state["base_offset"])
    if state["size_bytes"]:
        room = segment_room(config, state["base_offset"], first_ms=state["first_ms"], jitter_ms=state["jitter_ms"])
    size_bytes = state["size_bytes"] + state["append_bytes"]
    return not room.takes(size_bytes, state["append_last_offset"], state["newest_ms"], state["index_entries"])


def test_a_segment_is_followed_when_the_append_would_make_it_too_large() -> None:
    config = LogConfig(segment_bytes=1000)

    assert not rolls(config, size_bytes=900, append_bytes=100)
    assert rolls(config, size_bytes=901, append_bytes=100)


def test_the_internal_size_of_segments_holds_over_that_in_the_manual() -> None:
    config = TOPIC_CONFIG.parse({"segment.bytes": 1 << 20, "internal.segment.bytes": 1000})

    assert not rolls(config, size_bytes=900, append_bytes=100)
    assert rolls(config, size_bytes=901, append_bytes=100)
    assert rolls(TOPIC_CONFIG.parse({"internal.segment.bytes": -1}))


def test_an_empty_segment_takes_an_append_larger_than_segment_bytes() -> None:
    assert not rolls(LogConfig(segment_bytes=1000), size_bytes=0, append_bytes=5000)


def test_a_segment_is_followed_after_its_span_of_record_time() -> None:
    config = LogConfig(segment_ms=HOUR_MS)

    assert not rolls(config, newest_ms=HOUR_MS)
    assert rolls(config, newest_ms=HOUR_MS + 1)
    assert not rolls(config, newest_ms=HOUR_MS + 1, size_bytes=0)
    assert not rolls(config, newest_ms=2 * HOUR_MS, first_ms=HOUR_MS)
    assert rolls(config, newest_ms=HOUR_MS, jitter_ms=1)
    assert not rolls(config, newest_ms=2 * HOUR_MS, first_ms=-1), "records without times never make a segment old"
    assert not rolls(config, newest_ms=-1, first_ms=HOUR_MS)


def test_a_compacted_segment_is_followed_before_the_cleaner_is_late_for_it() -> None:
    lag = {"segment_ms": 9 * HOUR_MS, "max_compaction_lag_ms": HOUR_MS}

    assert rolls(LogConfig(cleanup_policy=("compact",), **lag), newest_ms=HOUR_MS + 1)
    assert not rolls(LogConfig(cleanup_policy=("compact",), **lag), newest_ms=HOUR_MS)
    assert not rolls(LogConfig(cleanup_policy=("delete",), **lag), newest_ms=HOUR_MS + 1)


def test_a_segment_is_followed_when_its_index_is_full_or_offsets_no_longer_fit_into_it() -> None:
    assert rolls(LogConfig(segment_index_bytes=120), index_entries=10)
    assert not rolls(LogConfig(segment_index_bytes=120), index_entries=9)
    assert rolls(LogConfig(), append_last_offset=2**31)
    assert rolls(LogConfig(), append_last_offset=2**31, size_bytes=0)


SEGMENTS = [SegmentState(base * 10, 100, base * HOUR_MS) for base in range(4)]


def deletable(config: LogConfig, **changed: int) -> int:
    state = {"log_start_offset": 0, "high_watermark": 40, "end_offset": 40, "now_ms": 0}
    return deletable_segments(config, SEGMENTS, **(state | changed))


@pytest.mark.parametrize(("hours", "gone"), [(0, 0), (2, 0), (3, 1), (4, 2), (9, 4)])
def test_segments_whose_newest_record_is_over_its_time_go_the_active_one_too(hours: int, gone: int) -> None:
    assert deletable(LogConfig(retention_ms=2 * HOUR_MS), now_ms=hours * HOUR_MS) == gone


def test_nothing_at_or_above_the_high_watermark_goes() -> None:
    config = LogConfig(retention_ms=0, retention_bytes=0)

    assert deletable(config, now_ms=100 * HOUR_MS, high_watermark=20) == 2


@pytest.mark.parametrize(("retention_bytes", "gone"), [(-1, 0), (400, 0), (301, 0), (300, 1), (150, 2), (0, 3)])
def test_the_oldest_segments_go_as_long_as_enough_remains(retention_bytes: int, gone: int) -> None:
    assert deletable(LogConfig(retention_ms=-1, retention_bytes=retention_bytes)) == gone


def test_segments_below_the_log_start_go_whatever_the_policy() -> None:
    assert deletable(LogConfig(cleanup_policy=("compact",)), log_start_offset=20) == 2
    assert deletable(LogConfig(cleanup_policy=("compact",)), log_start_offset=19) == 1


def test_a_compacted_topic_loses_nothing_to_retention() -> None:
    config = LogConfig(cleanup_policy=("compact",), retention_ms=0, retention_bytes=0)

    assert deletable(config, now_ms=100 * HOUR_MS) == 0


def test_a_segment_without_timestamps_is_not_over_its_time() -> None:
    config = LogConfig(retention_ms=0)
    segments = [SegmentState(0, 100, -1), SegmentState(10, 100, 5)]

    assert (
        deletable_segments(config, segments, log_start_offset=0, high_watermark=20, end_offset=20, now_ms=10**12) == 0
    )


def test_a_record_from_the_future_keeps_its_segment_and_those_behind_it() -> None:
    config = LogConfig(retention_ms=HOUR_MS)
    segments = [SegmentState(0, 100, 0), SegmentState(10, 100, 900 * HOUR_MS), SegmentState(20, 100, 0)]
    state = {"log_start_offset": 0, "high_watermark": 30, "end_offset": 30}

    assert deletable_segments(config, segments, **state, now_ms=100 * HOUR_MS) == 1
    assert deletable_segments(config, segments, **state, now_ms=902 * HOUR_MS) == 3


def test_a_segment_that_the_cleaner_has_emptied_does_not_hold_up_those_behind_it() -> None:
    config = LogConfig(cleanup_policy=("compact", "delete"), retention_ms=HOUR_MS)
    segments = [SegmentState(0, 0, -1), SegmentState(10, 100, 0), SegmentState(20, 0, -1)]

    assert (
        deletable_segments(
            config, segments, log_start_offset=0, high_watermark=20, end_offset=20, now_ms=100 * HOUR_MS
        ) == 2
    )  # fmt: skip


def test_the_jitter_lies_below_its_bound_and_differs_from_segment_to_segment() -> None:
    config = LogConfig(segment_ms=HOUR_MS, segment_jitter_ms=1000)
    found = [roll_jitter_ms(config, "data/t-0", base) for base in range(50)]

    assert len(set(found)) > 40
    assert all(0 <= jitter < 1000 for jitter in found)
    assert found == [roll_jitter_ms(config, "data/t-0", base) for base in range(50)]
    assert roll_jitter_ms(LogConfig(segment_ms=5, segment_jitter_ms=1000), "t", 0) < 5
    assert roll_jitter_ms(LogConfig(), "t", 0) == 0
