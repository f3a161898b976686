"""When a log begins a new segment and which old ones it deletes. Pure; shell: partition_log.py.

Source: LogSegment.shouldRoll and UnifiedLog.deleteOldSegments of Kafka 4.3.1. Tested in tests/core/log/test_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crc32c import crc32c

from ..config import INT_MAX, LONG_MAX, LogConfig

TIME_ENTRY_BYTES = 12


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What the rules look at. Times in ms, -1 when there is none."""

    base_offset: int
    size_bytes: int
    largest_timestamp_ms: int


@dataclass(frozen=True, slots=True)
class SegmentRoom:
    """What a segment takes before it is followed by a new one; the same for as long as the log's settings are."""

    size_bytes: int
    last_offset: int
    newest_ms: int
    index_entries: int

    def takes(self, size_bytes: int, last_offset: int, newest_ms: int, index_entries: int) -> bool:
        """Whether an append still goes to it. size_bytes: with the append; index_entries: before it."""
        return (
            size_bytes <= self.size_bytes
            and newest_ms <= self.newest_ms
            and index_entries < self.index_entries
            and last_offset <= self.last_offset
        )


def segment_room(config: LogConfig, base_offset: int, *, first_ms: int, jitter_ms: int) -> SegmentRoom:
    """Of a segment that is not empty. first_ms: the time of its first batch, -1 when that has none."""
    return SegmentRoom(
        size_bytes=config.segment_size,
        last_offset=base_offset + INT_MAX,
        newest_ms=first_ms + roll_span_ms(config) - jitter_ms if first_ms >= 0 else LONG_MAX,
        index_entries=config.segment_index_bytes // TIME_ENTRY_BYTES,
    )


def empty_segment_room(base_offset: int) -> SegmentRoom:
    """An empty segment takes an append of any size."""
    return SegmentRoom(LONG_MAX, base_offset + INT_MAX, LONG_MAX, LONG_MAX)


def roll_span_ms(config: LogConfig) -> int:
    """How much time a segment spans. Of a compacted topic no more than may pass before the cleaner gets it."""
    return min(config.segment_ms, config.max_compaction_lag_ms) if config.compacted else config.segment_ms


def roll_jitter_ms(config: LogConfig, directory: str, base_offset: int) -> int:
    """What segment.jitter.ms takes off segment.ms for one segment: by chance, but always the same for that one."""
    largest_ms = min(config.segment_jitter_ms, config.segment_ms)
    return crc32c(f"{directory}/{base_offset}".encode()) % largest_ms if largest_ms else 0


def deletable_segments(
    config: LogConfig,
    segments: Sequence[SegmentState],
    *,
    log_start_offset: int,
    high_watermark: int,
    end_offset: int,
    now_ms: int,
) -> int:
    """How many of the oldest segments go; all of them when the active one is over its time too (it is rolled first).

    Nothing at or above the high watermark goes. A topic that is only compacted loses what delete_records cut off.
    """
    return max(
        _below_log_start(segments, log_start_offset),
        _too_old(config, segments, high_watermark, end_offset, now_ms),
        _too_large(config, segments, high_watermark),
    )


def _below_log_start(segments: Sequence[SegmentState], log_start_offset: int) -> int:
    count = 0
    while count + 1 < len(segments) and segments[count + 1].base_offset <= log_start_offset:
        count += 1
    return count


def _too_old(
    config: LogConfig, segments: Sequence[SegmentState], high_watermark: int, end_offset: int, now_ms: int
) -> int:
    if not config.deleted or config.retention_ms < 0:
        return 0
    count = 0
    for index, segment in enumerate(segments):
        next_base = segments[index + 1].base_offset if index + 1 < len(segments) else end_offset
        if next_base > high_watermark or (index + 1 == len(segments) and not segment.size_bytes):
            break
        # A segment that the cleaner has emptied holds nothing that could be young.
        if segment.size_bytes and not 0 <= segment.largest_timestamp_ms < now_ms - config.retention_ms:
            break
        count += 1
    return count


def _too_large(config: LogConfig, segments: Sequence[SegmentState], high_watermark: int) -> int:
    if not config.deleted or config.retention_bytes < 0:
        return 0
    excess = sum(segment.size_bytes for segment in segments) - config.retention_bytes
    count = 0
    while count + 1 < len(segments) and segments[count + 1].base_offset <= high_watermark:
        excess -= segments[count].size_bytes
        if excess < 0:
            break
        count += 1
    return count
