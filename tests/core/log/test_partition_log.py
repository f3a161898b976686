"""Appends, reads, look-ups and retention of one log, on a disk in memory."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from core.log.faulty_disk import FaultyDisk
from core.log.log_world import FixedClock

from millstream.core.config import LogConfig
from millstream.core.errors import CorruptRecords, ProtocolError, StorageError
from millstream.core.log.appends import Appended
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch, iter_batches, read_records

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
MakeLog = Callable[..., PartitionLog]


def batch(count: int = 1, *, size: int = 10, timestamp_ms: int = NOW_MS, **fields: int) -> bytes:
    return build_batch(
        [SimpleRecord(0, timestamp_ms + i, b"k", b"v" * size) for i in range(count)], timestamp_ms=0, **fields
    )


def reopened(directory: LogDirectory, disk: FaultyDisk, config: LogConfig) -> PartitionLog:
    directory.close()
    directory = LogDirectory.open("data", disk, FixedClock(), DirectoryConfig(defaults=config))
    log = directory.get(("t", 0))
    assert log is not None
    return log


def test_offsets_follow_each_other_and_the_buffers_are_left_as_they_were(make_log: MakeLog) -> None:
    log, first, second = make_log(), batch(3), batch(2)

    assert log.append([first, memoryview(second)], now_ms=NOW_MS, leader_epoch=4) == Appended(0, 4)
    assert log.append([first], now_ms=NOW_MS, leader_epoch=4) == Appended(5, 7)

    assert (log.end_offset, first) == (8, batch(3))
    served = log.read(0, max_bytes=10_000, max_offset=8).data[0]
    headers = [check_batch(served, at) for at in (0, len(first), len(first) + len(second))]
    assert [(header.base_offset, header.leader_epoch) for header in headers] == [(0, 4), (3, 4), (5, 4)]


def test_readers_see_only_what_is_on_the_medium(make_log: MakeLog) -> None:
    log = make_log()
    log.append([batch(3)], now_ms=NOW_MS)

    assert (log.high_watermark, log.read(0, max_bytes=1000).data) == (0, [])
    assert log.flush() == 3
    assert (log.high_watermark, log.read(0, max_bytes=1000).next_offset) == (3, 3)


def test_a_segment_whose_index_is_full_is_followed_by_another(make_log: MakeLog) -> None:
    log = make_log(index_interval_bytes=50, segment_index_bytes=3 * 12)

    for _ in range(10):
        log.append([batch(1)], now_ms=NOW_MS)

    # Each batch but a segment's first gets an entry.
    assert [segment.base_offset for segment in log.segments.layout.segments] == [0, 4, 8]


def test_a_read_begins_with_the_batch_that_holds_the_offset(make_log: MakeLog) -> None:
    log = make_log(index_interval_bytes=50)
    for _ in range(20):
        log.append([batch(3)], now_ms=NOW_MS)
    log.flush()

    read = log.read(31, max_bytes=3 * len(batch(3)))

    assert (read.first_offset, read.next_offset, read.size_bytes) == (30, 39, 3 * len(batch(3)))
    assert [record.offset for record in read_records(read.data[0])] == [30, 31, 32]


def test_the_first_batch_is_read_however_large_unless_it_is_not_wanted(make_log: MakeLog) -> None:
    log = make_log()
    log.append([batch(1, size=5000), batch(1)], now_ms=NOW_MS)
    log.flush()

    assert log.read(0, max_bytes=100).next_offset == 1
    assert log.read(0, max_bytes=100, min_one=False).data == []


def test_offsets_outside_of_the_log_are_refused(make_log: MakeLog) -> None:
    log = make_log()
    log.append([batch(2)], now_ms=NOW_MS)
    log.flush()
    log.delete_records(1)

    assert log.read(2, max_bytes=10).data == []
    for offset in (0, 3):
        with pytest.raises(ProtocolError, match="OFFSET_OUT_OF_RANGE"):
            log.read(offset, max_bytes=10)


def test_reading_on_passes_from_segment_to_segment(make_log: MakeLog) -> None:
    log = make_log(segment_bytes=300)
    for _ in range(30):
        log.append([batch(2)], now_ms=NOW_MS)
    log.flush()

    offset, reads = 0, 0
    while offset < log.high_watermark:
        read = log.read(offset, max_bytes=10_000)
        assert read.first_offset == offset
        offset, reads = read.next_offset, reads + 1

    assert (offset, log.read(59, max_bytes=1).first_offset) == (60, 58)
    assert reads == 10


def test_a_batch_larger_than_the_topic_takes_is_refused(make_log: MakeLog) -> None:
    log = make_log(max_message_bytes=100)

    with pytest.raises(ProtocolError, match="MESSAGE_TOO_LARGE"):
        log.append([batch(1, size=100)], now_ms=NOW_MS)
    assert log.end_offset == 0
    assert log.append([batch(1, size=100)], now_ms=NOW_MS, coordinator=True).base_offset == 0


def test_the_log_stamps_records_when_the_topic_asks_for_it(make_log: MakeLog) -> None:
    log, data = make_log(message_timestamp_type="LogAppendTime"), batch(2, timestamp_ms=5)

    appended = log.append([data], now_ms=NOW_MS)
    log.flush()

    assert appended == Appended(0, 1, log_append_time_ms=NOW_MS)
    assert data == batch(2, timestamp_ms=5)
    served = log.read(0, max_bytes=1000).data[0]
    assert check_batch(served).is_log_append_time
    assert [record.timestamp_ms for record in read_records(served)] == [NOW_MS, NOW_MS]


def test_a_repeated_batch_gets_its_first_offsets_again(make_log: MakeLog) -> None:
    log = make_log()
    repeated = batch(2, producer_id=7, producer_epoch=0, base_sequence=0)
    log.append([repeated], now_ms=NOW_MS)
    log.append([batch()], now_ms=NOW_MS)

    assert log.append([repeated], now_ms=NOW_MS) == Appended(0, 1, duplicate=True)
    assert log.end_offset == 3


def test_records_are_found_by_time_across_segments_and_within_batches(make_log: MakeLog) -> None:
    log = make_log(segment_bytes=400, index_interval_bytes=100)
    for hour in range(20):
        log.append([batch(3, timestamp_ms=NOW_MS + hour * HOUR_MS)], now_ms=NOW_MS)
    log.flush()

    assert log.offset_for_timestamp(0) == (0, NOW_MS)
    assert log.offset_for_timestamp(NOW_MS + 5 * HOUR_MS) == (15, NOW_MS + 5 * HOUR_MS)
    assert log.offset_for_timestamp(NOW_MS + 5 * HOUR_MS + 2) == (17, NOW_MS + 5 * HOUR_MS + 2)
    assert log.offset_for_timestamp(NOW_MS + 5 * HOUR_MS + 3) == (18, NOW_MS + 6 * HOUR_MS)
    assert log.offset_for_timestamp(NOW_MS + 19 * HOUR_MS + 3) is None
    assert log.offset_of_max_timestamp() == (59, NOW_MS + 19 * HOUR_MS + 2)


def test_the_log_start_hides_older_records_from_look_ups_by_time(make_log: MakeLog) -> None:
    log = make_log()
    log.append([batch(3)], now_ms=NOW_MS)
    log.flush()
    log.delete_records(2)

    assert log.offset_for_timestamp(0) == (2, NOW_MS + 2)


def test_an_empty_log_has_no_times(make_log: MakeLog) -> None:
    assert make_log().offset_for_timestamp(0) is None
    assert make_log("u").offset_of_max_timestamp() is None


def test_a_new_segment_begins_after_its_span_of_record_time(make_log: MakeLog, disk: FaultyDisk) -> None:
    log = make_log(segment_ms=HOUR_MS)
    for minutes in (0, 60, 61, 62, 122):
        log.append([batch(timestamp_ms=NOW_MS + minutes * 60_000)], now_ms=NOW_MS)

    assert segment_bases(log, disk) == [0, 2, 4]


def segment_bases(log: PartitionLog, disk: FaultyDisk) -> list[int]:
    return [int(path.rpartition("/")[2][:20]) for path in disk.files(log.path) if path.endswith(".log")]


def filled(make_log: MakeLog, **config: object) -> PartitionLog:
    """Ten segments of two batches each, one an hour."""
    log = make_log(segment_bytes=2 * len(batch()), **config)
    for hour in range(20):
        log.append([batch(timestamp_ms=NOW_MS + hour * HOUR_MS)], now_ms=NOW_MS)
    log.flush()
    log.tidy()
    return log


def test_segments_over_their_time_are_deleted_with_all_their_files(make_log: MakeLog, disk: FaultyDisk) -> None:
    log = filled(make_log, retention_ms=5 * HOUR_MS)

    assert log.delete_old_segments(NOW_MS + 19 * HOUR_MS) == 7
    log.tidy()

    assert (log.log_start_offset, log.end_offset) == (14, 20)
    assert segment_bases(log, disk) == [14, 16, 18]
    old = [path for path in disk.files(log.path) if "/000" in path and int(path.rpartition("/")[2][:20]) < 14]
    assert old
    assert all(path.endswith(".deleted") for path in old)

    log.remove_deleted(NOW_MS + 19 * HOUR_MS + 59_999)
    assert set(old) <= set(disk.files(log.path))
    log.remove_deleted(NOW_MS + 19 * HOUR_MS + 60_000)
    assert not [path for path in disk.files(log.path) if "/000" in path and int(path.rpartition("/")[2][:20]) < 14]


def test_when_everything_is_over_its_time_an_empty_segment_remains(make_log: MakeLog, disk: FaultyDisk) -> None:
    log = filled(make_log, retention_ms=5 * HOUR_MS)

    assert log.delete_old_segments(NOW_MS + 1000 * HOUR_MS) == 10
    log.tidy()

    assert (log.log_start_offset, log.end_offset, log.size_bytes) == (20, 20, 0)
    assert segment_bases(log, disk) == [20]
    assert log.append([batch()], now_ms=NOW_MS).base_offset == 20


def test_segments_beyond_the_size_are_deleted(make_log: MakeLog) -> None:
    log = filled(make_log, retention_ms=-1, retention_bytes=5 * len(batch()))

    assert log.delete_old_segments(NOW_MS) == 7
    assert log.log_start_offset == 14


def test_a_compacted_topic_keeps_what_is_old_but_not_what_was_deleted(make_log: MakeLog) -> None:
    log = filled(make_log, retention_ms=0, retention_bytes=0, cleanup_policy=("compact",))

    assert log.delete_old_segments(NOW_MS + 1000 * HOUR_MS) == 0
    assert log.delete_records(7) == 7
    assert log.delete_old_segments(NOW_MS) == 3
    assert log.log_start_offset == 7


def test_records_can_be_deleted_up_to_the_high_watermark(make_log: MakeLog) -> None:
    log = filled(make_log)
    log.append([batch()], now_ms=NOW_MS)

    for before in (-2, 21):
        with pytest.raises(ProtocolError, match="OFFSET_OUT_OF_RANGE"):
            log.delete_records(before)
    assert log.delete_records(5) == 5
    assert log.delete_records(3) == 5
    assert log.delete_records(-1) == 20


def test_leader_epochs_tell_where_they_end(make_log: MakeLog) -> None:
    log = make_log()
    for epoch in (0, 0, 3, 5):
        log.append([batch(2)], now_ms=NOW_MS, leader_epoch=epoch)

    assert log.leader_epoch == 5
    assert [log.epoch_end_offset(epoch) for epoch in (0, 2, 3, 5, 6)] == [(0, 4), (0, 4), (3, 6), (5, 8), (-1, -1)]


def test_a_clean_restart_keeps_everything(make_log: MakeLog, directory: LogDirectory, disk: FaultyDisk) -> None:
    log = filled(make_log)
    log.append([batch(2, producer_id=7, producer_epoch=0, base_sequence=0)], now_ms=NOW_MS, leader_epoch=2)
    log.delete_records(3)

    again = reopened(directory, disk, log.config)

    assert (again.log_start_offset, again.end_offset, again.high_watermark) == (3, 22, 22)
    assert again.topic_id == log.topic_id
    assert again.active_producers() == log.active_producers()
    assert again.epoch_end_offset(0) == (0, 20)
    assert again.read(20, max_bytes=1).first_offset == 20
    assert again.offset_for_timestamp(NOW_MS + 7 * HOUR_MS) == (7, NOW_MS + 7 * HOUR_MS)


def test_indexes_that_are_gone_are_made_anew(make_log: MakeLog, directory: LogDirectory, disk: FaultyDisk) -> None:
    log = filled(make_log, index_interval_bytes=0)
    expected = {path: disk.bytes(path) for path in disk.files(log.path) if path.endswith("index")}
    directory.close()
    for path in expected:
        disk.unlink(path)

    again = LogDirectory.open("data", disk, FixedClock(), DirectoryConfig(defaults=log.config)).get(("t", 0))
    assert again is not None
    for offset in range(20):
        assert again.read(offset, max_bytes=1).first_offset == offset
        assert again.offset_for_timestamp(NOW_MS + offset * HOUR_MS) == (offset, NOW_MS + offset * HOUR_MS)

    sealed = {path: data for path, data in expected.items() if "/00000000000000000018" not in path}
    assert {path: disk.bytes(path) for path in sealed} == sealed


def test_a_file_that_was_cut_by_someone_is_damage_not_an_endless_read(make_log: MakeLog, disk: FaultyDisk) -> None:
    log = filled(make_log)
    disk.open(f"{log.path}/{4:020d}.log").truncate(len(batch()) + 5)

    assert log.read(4, max_bytes=1000).next_offset == 5
    with pytest.raises(CorruptRecords, match="offsets 5 to 5 are damaged"):
        log.read(5, max_bytes=1000)
    assert log.read(6, max_bytes=1000).first_offset == 6


def test_a_full_disk_refuses_the_append_and_the_log_goes_on_when_there_is_room(
    make_log: MakeLog, disk: FaultyDisk, directory: LogDirectory
) -> None:
    log = make_log()
    log.append([batch()], now_ms=NOW_MS)
    disk.free_bytes = 50

    with pytest.raises(StorageError, match="the disk is full"):
        log.append([batch(2, producer_id=7, producer_epoch=0, base_sequence=0)], now_ms=NOW_MS)

    assert (log.end_offset, log.failure, log.active_producers()) == (1, None, [])
    assert len(disk.bytes(f"{log.path}/{0:020d}.log")) == len(batch())
    disk.free_bytes = None
    log.append([batch(2, producer_id=7, producer_epoch=0, base_sequence=0)], now_ms=NOW_MS)
    log.flush()
    assert [header.base_offset for header in iter_batches(log.read(0, max_bytes=1000).data[0])] == [0, 1]
    assert reopened(directory, disk, log.config).end_offset == 3


def test_a_full_disk_keeps_no_old_segment_from_making_room(make_log: MakeLog, disk: FaultyDisk) -> None:
    log = filled(make_log, retention_ms=5 * HOUR_MS)
    log.append([batch(timestamp_ms=NOW_MS + 20 * HOUR_MS)], now_ms=NOW_MS)
    disk.free_bytes = 0

    assert log.delete_old_segments(NOW_MS + 19 * HOUR_MS) == 7
    with pytest.raises(StorageError, match="leader-epoch-checkpoint cannot be written"):
        log.flush()
    log.remove_deleted(NOW_MS + 20 * HOUR_MS)

    assert segment_bases(log, disk) == [14, 16, 18, 20]
    assert not [path for path in disk.files(log.path) if path.endswith(".deleted")]
    disk.free_bytes = None
    assert log.flush() == 21


def test_what_cannot_be_looked_at_is_told_as_an_error_of_the_disk(
    make_log: MakeLog, disk: FaultyDisk, directory: LogDirectory
) -> None:
    log = reopened(directory, disk, filled(make_log, retention_ms=5 * HOUR_MS).config)
    for path in disk.files(log.path):
        if "/000" in path:
            disk.unlink(path)

    with pytest.raises(StorageError, match="newest times of the segments cannot be read"):
        log.delete_old_segments(NOW_MS)
    with pytest.raises(StorageError, match="newest times of the segments cannot be read"):
        log.offset_of_max_timestamp()


def test_a_process_that_may_open_no_more_files_syncs_once_it_may(tmp_path: Path) -> None:
    """A flood of connections took every log that had a new file offline, for good."""
    disk = DiskWithoutDescriptors()
    directory = LogDirectory.open(str(tmp_path), disk, FixedClock())
    log = directory.create("t", 0, bytes(16))
    log.append([batch(3)], now_ms=NOW_MS)
    disk.exhausted = True

    with pytest.raises(StorageError, match="ulimit -n"):
        log.flush()

    assert (log.failure, log.high_watermark) == (None, 0)
    disk.exhausted = False
    assert log.flush() == log.high_watermark == 3
    assert str(tmp_path / "t-0") in disk.synced
    directory.close()


class DiskWithoutDescriptors(RealDisk):
    """While `exhausted`, no directory can be opened. `synced`: those that were, while it was not."""

    def __init__(self) -> None:
        self.exhausted = False
        self.synced: list[str] = []

    def sync_directory(self, path: str) -> None:
        if self.exhausted:
            raise OSError(errno.EMFILE, "too many open files")
        super().sync_directory(path)
        self.synced.append(path)


def test_a_failed_sync_takes_the_log_offline_for_good(make_log: MakeLog, disk: FaultyDisk) -> None:
    log = make_log()
    log.append([batch()], now_ms=NOW_MS)
    log.flush()
    log.append([batch()], now_ms=NOW_MS)
    disk.failing_syncs = 1

    for attempt in (
        log.flush,
        log.flush,
        lambda: log.append([batch()], now_ms=NOW_MS),
        lambda: log.read(0, max_bytes=1),
    ):
        with pytest.raises(StorageError, match="offline since its disk failed"):
            attempt()
    assert (log.high_watermark, log.failure is not None) == (1, True)


def test_a_segment_is_followed_earlier_by_its_jitter(make_log: MakeLog) -> None:
    def age_at_roll(log: PartitionLog) -> int:
        for seconds in range(200):
            log.append([batch(timestamp_ms=NOW_MS + seconds * 1000)], now_ms=NOW_MS)
            if len(log.segments.layout.segments) == 2:
                return seconds
        return -1

    plain = age_at_roll(make_log("plain", segment_ms=100_000))
    jittered = age_at_roll(make_log("jittered", segment_ms=100_000, segment_jitter_ms=90_000))

    assert (plain, 10 <= jittered < 101) == (101, True)
    assert jittered != plain


def test_of_the_sealed_segments_the_one_not_read_for_longest_is_closed(
    make_log: MakeLog, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log(segment_bytes=len(batch()))
    for _ in range(7):
        log.append([batch()], now_ms=NOW_MS)
    log.flush()
    log.tidy()
    opened: list[str] = []
    open_file = disk.open
    monkeypatch.setattr(disk, "open", lambda path, **how: opened.append(path) or open_file(path, **how))

    for offset in (0, 1, 2, 3, 0, 4):
        log.read(offset, max_bytes=1)
    opened.clear()
    for offset in (0, 1):
        log.read(offset, max_bytes=1)

    assert [path for path in opened if path.endswith(".log")] == ["data/t-0/00000000000000000001.log"]
