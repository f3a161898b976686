"""Records without times (-1): their segments are as old as their files, and followed by the clock; as in Kafka 4.3.1,
which was asked with the same batches."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from core.log.faulty_disk import FaultyDisk
from core.log.log_world import FixedClock

from millstream.core.config import LogConfig
from millstream.core.log.compaction.cleaner import LogCleaner, runner_for
from millstream.core.log.compaction.log_cleaning import CleanerSettings, plan_for
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def timeless(number: int = 0) -> bytes:
    return build_batch([SimpleRecord(0, -1, b"k%d" % (number % 3), b"v" * 100)], timestamp_ms=-1)


def written(log: PartitionLog, disk: FaultyDisk, *times_ms: int) -> None:
    """A segment of ten batches for each time, written at that time."""
    for time_ms in times_ms:
        disk.now_ms = time_ms
        for number in range(10):
            log.append([timeless(number)], now_ms=time_ms)
        log.roll()
        log.flush()
        log.tidy()


def test_a_segment_is_over_its_time_when_its_file_was_not_written_to_for_that_long(
    make_log: Callable[..., PartitionLog], disk: FaultyDisk
) -> None:
    log = make_log(retention_ms=HOUR_MS)
    written(log, disk, NOW_MS, NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS)

    gone = [log.delete_old_segments(NOW_MS + hours * HOUR_MS + 1) for hours in (0, 1, 2)]

    assert gone == [0, 1, 1]
    assert (log.log_start_offset, log.end_offset) == (20, 30)


def test_the_newest_of_a_log_without_times_is_its_first(make_log: Callable[..., PartitionLog]) -> None:
    log = make_log()
    assert log.offset_of_max_timestamp() is None
    for number in range(3):
        log.append([timeless(number)], now_ms=NOW_MS)
    log.flush()

    assert log.offset_of_max_timestamp() == (0, -1)
    log.delete_records(2)
    assert log.offset_of_max_timestamp() == (2, -1)


def test_an_empty_time_index_is_all_there_is_and_no_reason_to_read_the_segment(
    make_log: Callable[..., PartitionLog],
    directory: LogDirectory,
    disk: FaultyDisk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = LogConfig(retention_ms=HOUR_MS)
    log = make_log(retention_ms=HOUR_MS)
    written(log, disk, NOW_MS, NOW_MS)
    directory.close()

    with caplog.at_level(logging.WARNING):
        again = LogDirectory.open("data", disk, FixedClock(), DirectoryConfig(defaults=config)).get(("t", 0))
        assert again is not None
        assert again.delete_old_segments(NOW_MS) == 0
        assert again.offset_for_timestamp(0) is None
        assert [len(again.segments.layout.segments[at].times()) for at in (0, 1)] == [0, 0]

    assert "made anew" not in caplog.text


@pytest.fixture
def cleaned(tmp_path: Path) -> Iterator[tuple[LogDirectory, PartitionLog]]:
    directory = LogDirectory.open(str(tmp_path / "data"), RealDisk(), FixedClock())
    config = LogConfig(cleanup_policy=("compact",), min_cleanable_dirty_ratio=0.0, min_compaction_lag_ms=HOUR_MS)
    log = directory.create("t", 0, bytes(16), config)
    for _ in range(2):
        for number in range(100):
            log.append([timeless(number)], now_ms=0)
        log.roll()
    log.flush()
    log.tidy()
    yield directory, log
    directory.close()


def test_what_is_too_young_to_be_cleaned_is_told_by_the_file_and_a_cleaned_segment_is_as_old_as_its_last(
    cleaned: tuple[LogDirectory, PartitionLog],
) -> None:
    directory, log = cleaned
    first, second, _ = log.segments.layout.segments
    for segment, hours in ((first, 5), (second, 3)):
        time_ms = NOW_MS - hours * HOUR_MS
        os.utime(segment.path(".log"), ns=(time_ms * 10**6, time_ms * 10**6))
    ends = [
        plan_for(log, cleaned_to=0, now_ms=NOW_MS - hours * HOUR_MS).first_uncleanable_offset for hours in (5, 4, 3, 1)
    ]

    cleaner = LogCleaner(
        directory, FixedClock(), CleanerSettings(dedupe_bytes=1 << 20), lambda s: runner_for(RealDisk(), s)
    )
    assert cleaner.run_once()
    cleaner.close()

    assert ends == [0, 100, 100, 200]
    (new, _) = log.segments.layout.segments
    assert new.largest_timestamp_ms() == NOW_MS - 3 * HOUR_MS
    assert new.newest()[0] == -1
