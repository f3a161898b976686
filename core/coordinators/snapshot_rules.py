"""When a snapshot of the metadata log is taken, and which snapshots and segments stay. Pure.

Once snapshots have gone, the log begins where the oldest of the others ends: with any of them, and the log behind it,
the state can be had again. Two stay in any case, for one may turn out to be damaged.
Source: MetadataLogConfig, SnapshotGenerator and KafkaRaftLog of Kafka 4.3.1.
Tested in tests/core/coordinators/test_snapshot_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..config import INT_MAX, LONG_MAX, setting

ALWAYS_KEPT = 2
LITTLE_BYTES = 64 * 1024
"""So much log is read in no time, and is worth no snapshot at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """A part of the broker's settings."""

    metadata_log_max_record_bytes_between_snapshots: int = setting(
        "metadata.log.max.record.bytes.between.snapshots", 20_971_520,
        "A snapshot of the metadata is taken when their log has grown by this", unit="bytes", minimum=1,
    )  # fmt: skip
    metadata_log_max_snapshot_interval_ms: int = setting(
        "metadata.log.max.snapshot.interval.ms", 3_600_000,
        "And after this time, where their log has grown at all; 0: not by time", unit="ms", minimum=0,
    )  # fmt: skip
    metadata_log_segment_bytes: int = setting(
        "metadata.log.segment.bytes", 16_777_216,
        "Segments of the metadata's log; what snapshots stand for goes by whole ones (Kafka: 1 GiB)", unit="bytes",
        minimum=8_388_608, maximum=INT_MAX,
    )  # fmt: skip
    metadata_log_segment_ms: int = setting(
        "metadata.log.segment.ms", 604_800_000, "A segment of the metadata's log ends after this time", unit="ms",
        minimum=1,
    )  # fmt: skip
    metadata_max_retention_bytes: int = setting(
        "metadata.max.retention.bytes", 104_857_600,
        "Old metadata go when log and snapshots are larger; two snapshots stay; -1: no limit", unit="bytes",
    )  # fmt: skip
    metadata_max_retention_ms: int = setting(
        "metadata.max.retention.ms", 604_800_000,
        "Old metadata go when they are older; two snapshots stay; -1: no limit", unit="ms",
    )  # fmt: skip


class SnapshotId(NamedTuple):
    """Where the log goes on behind a snapshot, and the leader epoch of the last record in it."""

    end_offset: int
    leader_epoch: int


@dataclass(frozen=True, slots=True)
class KnownSnapshot:
    """One that stands on the disk whole, and when it was written."""

    id: SnapshotId
    size_bytes: int
    taken_ms: int


def is_due(settings: SnapshotSettings, *, grown_bytes: int, since_ms: int) -> bool:
    """Whether to take a snapshot. grown_bytes: of log that no snapshot stands for; since_ms: since the last one."""
    interval_ms = settings.metadata_log_max_snapshot_interval_ms
    if grown_bytes >= settings.metadata_log_max_record_bytes_between_snapshots:
        return True
    return grown_bytes > 0 and 0 < interval_ms <= since_ms


def is_worth_it_at_the_end(*, grown_bytes: int, snapshot_bytes: int) -> bool:
    """Whether a start would read more of the log than a new snapshot has. snapshot_bytes: of the last one."""
    return grown_bytes >= max(LITTLE_BYTES, snapshot_bytes)


def outlived(
    settings: SnapshotSettings,
    snapshots: Sequence[KnownSnapshot],
    segments: Sequence[tuple[int, int]],
    now_ms: int,
) -> int:
    """How many of the oldest snapshots go, with the log before the one that is then the oldest.

    segments: of the log, each one's base offset and bytes; the oldest come first, as in `snapshots`.
    """
    count = start_offset = 0
    while len(snapshots) - count > ALWAYS_KEPT:
        log_bytes = _bytes_behind(start_offset, segments)
        if not _is_over(settings, snapshots[count:], log_bytes, now_ms):
            break
        count += 1
        start_offset = snapshots[count].id.end_offset
    return count


def _is_over(settings: SnapshotSettings, snapshots: Sequence[KnownSnapshot], log_bytes: int, now_ms: int) -> bool:
    if 0 <= settings.metadata_max_retention_ms < now_ms - snapshots[0].taken_ms:
        return True
    all_bytes = log_bytes + sum(one.size_bytes for one in snapshots)
    return 0 <= settings.metadata_max_retention_bytes < all_bytes


def _bytes_behind(start_offset: int, segments: Sequence[tuple[int, int]]) -> int:
    """Segments go as a whole."""
    ends = [base for base, _ in segments[1:]] + [LONG_MAX]
    return sum(size for (_, size), end in zip(segments, ends, strict=True) if end > start_offset)
