"""What the cleaner asks of one log: what of it is due, and the job that cleans that. Shell; rules: compaction_rules.py.

Called on the cleaner's thread. A log that failed, or was deleted, is left alone.
Tested in tests/core/log/test_cleaning.py.
"""

from dataclasses import dataclass

from ...config import LONG_MAX
from ..partition_log import PartitionLog
from ..segments.segment import Segment
from .compaction import CleaningJob
from .compaction_rules import CleaningPlan, SegmentFacts, plan_cleaning


@dataclass(frozen=True, slots=True)
class CleanerSettings:
    """Of all logs of a broker, shared by its threads.

    dedupe_bytes: memory for keys while logs are cleaned; bytes_per_second: None for any.
    """

    dedupe_bytes: int = 134_217_728
    load_factor: float = 0.9
    backoff_ms: int = 15_000
    bytes_per_second: float | None = None
    threads: int = 1

    @property
    def thread_dedupe_bytes(self) -> int:
        return self.dedupe_bytes // max(self.threads, 1)

    @property
    def thread_bytes_per_second(self) -> float | None:
        return None if self.bytes_per_second is None else self.bytes_per_second / max(self.threads, 1)


def plan_for(log: PartitionLog, *, cleaned_to: int, now_ms: int) -> CleaningPlan:
    """What of a log may be cleaned now. Raises OSError."""
    config = log.config
    segments = log.segments.layout.segments
    dated = config.max_compaction_lag_ms < LONG_MAX
    sealed = [
        SegmentFacts(
            one.base_offset, one.size_bytes, one.largest_timestamp_ms() if config.min_compaction_lag_ms else -1,
            one.first_timestamp() if dated else -1,
        )
        for one in segments[:-1]
    ]  # fmt: skip
    return plan_cleaning(
        config, sealed, active_base_offset=segments[-1].base_offset, log_start_offset=log.log_start_offset,
        stable_offset=min(log.last_stable_offset, log.recovery_point), end_offset=log.end_offset,
        cleaned_to=cleaned_to, now_ms=now_ms,
    )  # fmt: skip


def job_for(log: PartitionLog, plan: CleaningPlan, settings: CleanerSettings, *, now_ms: int) -> CleaningJob:
    """The job that carries a plan out. Raises OSError."""
    segments = [one for one in log.segments.layout.segments if one.base_offset < plan.first_uncleanable_offset]
    producers = log.active_producers()
    config = log.config
    return CleaningJob(
        directory=log.path,
        segments=tuple(_facts(segment) for segment in segments),
        first_dirty_offset=plan.first_dirty_offset,
        upper_offset=plan.first_uncleanable_offset,
        aborted=tuple(log.aborted_transactions()),
        last_offsets={one.producer_id: one.batches[-1].last_offset for one in producers if one.batches},
        marker_epochs={one.producer_id: one.epoch for one in producers if not one.batches},
        now_ms=now_ms,
        delete_retention_ms=config.delete_retention_ms,
        segment_bytes=config.segment_size,
        segment_index_bytes=config.segment_index_bytes,
        index_interval_bytes=config.index_interval_bytes,
        dedupe_bytes=settings.thread_dedupe_bytes,
        load_factor=settings.load_factor,
    )


def _facts(segment: Segment) -> SegmentFacts:
    offsets, times = segment.index_bytes()
    return SegmentFacts(segment.base_offset, segment.size_bytes, offset_index_bytes=offsets, time_index_bytes=times)
