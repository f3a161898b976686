"""Which part of a compacted log is cleaned, when, and into which segments. Pure; shell: cleaner.py.

The head of a log, below `first_dirty_offset`, was cleaned before; the dirty part behind it ends where the active
segment, an open transaction or min.compaction.lag.ms says. Only whole segments are cleaned.
Source: LogCleanerManager, LogToClean and Cleaner.groupSegmentsBySize of Kafka 4.3.1.
Tested in tests/core/log/test_compaction_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...config import INT_MAX, LogConfig


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the rules look at of one segment that is not the active one. Times in ms, -1 when there is none."""

    base_offset: int
    size_bytes: int
    largest_timestamp_ms: int = -1
    first_timestamp_ms: int = -1
    offset_index_bytes: int = 0
    time_index_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CleaningPlan:
    """A log's clean head and its dirty part [first_dirty_offset, first_uncleanable_offset), by offset and size.

    overdue: something in it is older than max.compaction.lag.ms.
    """

    first_dirty_offset: int
    first_uncleanable_offset: int
    clean_bytes: int
    cleanable_bytes: int
    overdue: bool

    @property
    def dirty_ratio(self) -> float:
        total = self.clean_bytes + self.cleanable_bytes
        return self.cleanable_bytes / total if total else 0.0

    def due(self, config: LogConfig) -> bool:
        """Whether cleaning is worth its cost now."""
        return self.cleanable_bytes > 0 and (self.overdue or self.dirty_ratio > config.min_cleanable_dirty_ratio)


def plan_cleaning(
    config: LogConfig,
    sealed: Sequence[SegmentFacts],
    *,
    active_base_offset: int,
    log_start_offset: int,
    stable_offset: int,
    end_offset: int,
    cleaned_to: int,
    now_ms: int,
) -> CleaningPlan:
    """What may be cleaned of a log now.

    stable_offset: no transaction is open below it, and everything below it is safe from a crash. cleaned_to: where the
    last cleaning ended; a value that the log cannot have makes everything dirty again.
    """
    first_dirty = cleaned_to if log_start_offset <= cleaned_to <= end_offset else log_start_offset
    first_dirty = min(first_dirty, active_base_offset)
    ends = [*(facts.base_offset for facts in sealed[1:]), active_base_offset]
    dirty = [facts for facts, end in zip(sealed, ends, strict=False) if end > first_dirty]
    limit = min(stable_offset, active_base_offset)
    if config.min_compaction_lag_ms > 0:
        youngest_ms = now_ms - config.min_compaction_lag_ms
        limit = min([limit, *(one.base_offset for one in dirty if one.largest_timestamp_ms > youngest_ms)])
    borders = [*(facts.base_offset for facts in sealed), active_base_offset]
    limit = max(limit, first_dirty, borders[0])
    first_uncleanable = max(border for border in borders if border <= limit)
    oldest_ms = min((one.first_timestamp_ms for one in dirty if one.first_timestamp_ms > 0), default=now_ms)
    return CleaningPlan(
        first_dirty,
        max(first_uncleanable, first_dirty),
        sum(one.size_bytes for one in sealed if one.base_offset < first_dirty),
        sum(one.size_bytes for one in dirty if one.base_offset < first_uncleanable),
        oldest_ms < now_ms - config.max_compaction_lag_ms,
    )


def group_segments(
    segments: Sequence[SegmentFacts], *, segment_bytes: int, index_bytes: int, upper_offset: int
) -> list[list[SegmentFacts]]:
    """Neighbours that become one segment each: as many as surely fit, by what they hold before they are cleaned.

    upper_offset: all their offsets lie below it.
    """
    groups: list[list[SegmentFacts]] = []
    log_size = offsets_size = times_size = 0
    for index, facts in enumerate(segments):
        bound = segments[index + 1].base_offset if index + 1 < len(segments) else upper_offset
        log_size += facts.size_bytes
        offsets_size += facts.offset_index_bytes
        times_size += facts.time_index_bytes
        fits = log_size <= segment_bytes and max(offsets_size, times_size) <= index_bytes
        if groups and fits and (not facts.size_bytes or bound - 1 - groups[-1][0].base_offset <= INT_MAX):
            groups[-1].append(facts)
        else:
            groups.append([facts])
            log_size, offsets_size, times_size = facts.size_bytes, facts.offset_index_bytes, facts.time_index_bytes
    return groups
