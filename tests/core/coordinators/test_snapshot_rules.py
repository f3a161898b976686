"""When snapshots of the metadata log are taken and dropped, by Kafka's settings."""

import pytest

from millstream.core.coordinators.snapshot_rules import (
    LITTLE_BYTES,
    KnownSnapshot,
    SnapshotId,
    SnapshotSettings,
    is_due,
    is_worth_it_at_the_end,
    outlived,
)

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS


@pytest.mark.parametrize(
    ("grown_bytes", "since_ms", "due"),
    [
        (20 * 1024 * 1024 - 1, HOUR_MS - 1, False),
        (20 * 1024 * 1024, 0, True),
        (1, HOUR_MS, True),
        (0, 100 * HOUR_MS, False),
    ],
)
def test_a_snapshot_is_due_after_twenty_mebibytes_or_an_hour_with_changes(
    grown_bytes: int, since_ms: int, due: bool
) -> None:
    assert is_due(SnapshotSettings(), grown_bytes=grown_bytes, since_ms=since_ms) is due


def test_without_an_interval_only_bytes_count() -> None:
    settings = SnapshotSettings(metadata_log_max_snapshot_interval_ms=0)

    assert not is_due(settings, grown_bytes=1, since_ms=10**12)
    assert is_due(settings, grown_bytes=20_971_520, since_ms=0)


def test_at_the_end_one_is_taken_where_a_start_would_read_more_log_than_snapshot() -> None:
    assert not is_worth_it_at_the_end(grown_bytes=LITTLE_BYTES - 1, snapshot_bytes=0)
    assert is_worth_it_at_the_end(grown_bytes=LITTLE_BYTES, snapshot_bytes=LITTLE_BYTES)
    assert not is_worth_it_at_the_end(grown_bytes=LITTLE_BYTES, snapshot_bytes=LITTLE_BYTES + 1)


def known(*ends: int, size_bytes: int = 10, age_ms: int = 0) -> list[KnownSnapshot]:
    return [KnownSnapshot(SnapshotId(end, 0), size_bytes, NOW_MS - age_ms) for end in ends]


SEGMENTS = [(0, 100), (50, 100), (100, 100), (150, 30)]
NO_LIMIT = SnapshotSettings(metadata_max_retention_bytes=-1, metadata_max_retention_ms=-1)


def test_old_ones_go_but_for_the_newest_two() -> None:
    settings = SnapshotSettings(metadata_max_retention_bytes=-1, metadata_max_retention_ms=HOUR_MS)
    some = known(10, 20, age_ms=HOUR_MS + 1) + known(30, 40, age_ms=HOUR_MS)

    assert outlived(settings, some, SEGMENTS, NOW_MS) == 2
    assert outlived(settings, known(10, 20, 30, 40, age_ms=9 * HOUR_MS), SEGMENTS, NOW_MS) == 2
    assert outlived(NO_LIMIT, some, SEGMENTS, NOW_MS) == 0
    assert outlived(settings, known(10, age_ms=9 * HOUR_MS), SEGMENTS, NOW_MS) == 0


@pytest.mark.parametrize(("limit", "gone"), [(330 + 50, 0), (330 + 49, 1), (230 + 40, 1), (230 + 39, 2), (0, 3)])
def test_the_oldest_go_while_log_and_snapshots_are_too_large(limit: int, gone: int) -> None:
    """All of the log counts, then the segments that hold something behind the oldest snapshot that is left."""
    settings = SnapshotSettings(metadata_max_retention_bytes=limit, metadata_max_retention_ms=-1)

    assert outlived(settings, known(60, 99, 160, 170, 180), SEGMENTS, NOW_MS) == gone
