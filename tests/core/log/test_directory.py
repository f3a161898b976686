"""A data directory: whose it is, who holds it, what is in it."""

import errno
import os
import threading
from pathlib import Path
from random import Random

import pytest
from core.log.faulty_disk import FaultyDisk
from core.log.log_world import FixedClock, SeededRng

from millstream.core.config import LogConfig
from millstream.core.errors import ConfigError, DataDirectoryInUse, ProtocolError, StorageError
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.group_commit import GroupCommit
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch

RECORDS = [SimpleRecord(0, 1_700_000_000_000, None, b"v")]
BATCH = build_batch(RECORDS, timestamp_ms=0)
TOPIC_ID = bytes(range(16))


def opened(disk: FaultyDisk, **config: object) -> LogDirectory:
    return LogDirectory.open("data", disk, FixedClock(), DirectoryConfig(**config), SeededRng(Random(0)))


def test_a_new_directory_gets_an_identity_that_it_keeps(disk: FaultyDisk) -> None:
    first = opened(disk, node_id=3)
    first.close()
    again = opened(disk, node_id=3)

    assert (again.cluster_id, again.directory_id) == (first.cluster_id, first.directory_id)
    assert len(again.cluster_id) == len(again.directory_id) == 22
    assert disk.bytes("data/meta.properties").decode().splitlines() == [
        "#", f"cluster.id={again.cluster_id}", f"directory.id={again.directory_id}", "node.id=3", "version=1",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [{"node_id": 2}, {"cluster_id": "other"}])
def test_the_directory_of_another_node_or_cluster_is_refused_and_let_go(disk: FaultyDisk, asked: dict) -> None:
    opened(disk, cluster_id="mine").close()

    with pytest.raises(ConfigError, match="belongs to cluster mine, node 1"):
        opened(disk, **asked)
    opened(disk, cluster_id="mine").close()


def test_a_directory_whose_identity_cannot_be_read_is_refused(disk: FaultyDisk) -> None:
    opened(disk).close()
    file = disk.open("data/meta.properties")
    file.truncate(0)
    file.write_at([b"version=1\n"], 0)

    with pytest.raises(StorageError, match=r"meta.properties cannot be read"):
        opened(disk)


def test_closing_waits_until_files_beside_the_logs_are_written(tmp_path: Path) -> None:
    directory = LogDirectory.open(str(tmp_path), RealDisk(), FixedClock())
    log = directory.create("a", 0, TOPIC_ID)
    steps: list[str] = []

    def close() -> None:
        directory.close()
        steps.append("closed")

    closing = threading.Thread(target=close)
    with directory.held_open() as disk:
        closing.start()
        while log.failure is None:  # Logs close before the directory does.
            pass
        with pytest.raises(DataDirectoryInUse):
            RealDisk().lock(f"{tmp_path}/.lock", "another")
        disk.open(f"{tmp_path}/a-0/file", create=True).close()
        steps.append("written")
    closing.join()

    assert steps == ["written", "closed"]
    with pytest.raises(StorageError, match="is closed"), directory.held_open():
        pass


def test_logs_are_made_found_and_deleted(disk: FaultyDisk) -> None:
    directory = opened(disk)
    log = directory.create("a", 0, TOPIC_ID, LogConfig(retention_ms=5))
    directory.create("a", 1, TOPIC_ID)
    log.append([BATCH], now_ms=0)

    assert directory.get(("a", 0)) is log
    assert (log.topic, log.partition, log.topic_id, log.config.retention_ms) == ("a", 0, TOPIC_ID, 5)
    with pytest.raises(ProtocolError, match="TOPIC_ALREADY_EXISTS"):
        directory.create("a", 0, TOPIC_ID)

    directory.delete("a", 0)
    directory.delete("a", 0)

    assert [(one.topic, one.partition) for one in directory.logs()] == [("a", 1)]
    with pytest.raises(StorageError, match="deleted"):
        log.append([BATCH], now_ms=0)
    directory.checkpoint()
    assert [path for path in disk.files("data") if "a-0" in path] == []
    assert disk.list_directory("data").count("a-1") == 1


def test_the_files_of_a_deleted_log_go_from_a_full_disk_too(disk: FaultyDisk) -> None:
    directory = opened(disk)
    log = directory.create("a", 0, TOPIC_ID)
    log.append([BATCH], now_ms=0)
    log.flush()
    directory.delete("a", 0)
    disk.free_bytes = 0

    with pytest.raises(StorageError, match="checkpoints cannot be written"):
        directory.checkpoint()

    assert [name for name in disk.list_directory("data") if name.startswith("a-0")] == []


def test_the_files_of_a_deleted_log_that_cannot_be_removed_now_are_removed_later(disk: FaultyDisk) -> None:
    directory = opened(disk)
    directory.create("a", 0, TOPIC_ID)
    directory.delete("a", 0)
    (left,) = [name for name in disk.list_directory("data") if name.startswith("a-0")]
    disk.open(f"data/{left}/0", create=True)
    unlink, disk.unlink = disk.unlink, refused

    directory.checkpoint()
    disk.unlink = unlink
    directory.checkpoint()

    assert [name for name in disk.list_directory("data") if name.startswith("a-0")] == []


def test_a_log_made_anew_where_one_could_not_be_taken_away_has_nothing_of_it(disk: FaultyDisk) -> None:
    directory = opened(disk)
    log = directory.create("a", 0, TOPIC_ID, LogConfig(segment_bytes=1))
    for _ in range(3):
        log.append([BATCH], now_ms=0)
    log.flush()
    rename, disk.rename = disk.rename, lambda source, _: refused(source)
    with pytest.raises(StorageError, match="a-0 cannot be deleted"):
        directory.delete("a", 0)
    disk.rename = rename

    again = directory.create("a", 0, bytes(16))
    again.append([BATCH], now_ms=0)
    again.flush()
    disk.restart(power_cut=False)
    log = opened(disk).get(("a", 0))

    assert log is not None
    assert (log.log_start_offset, log.end_offset, log.topic_id) == (0, 1, bytes(16))


def refused(path: str) -> None:
    raise OSError(errno.EACCES, "Permission denied", path)


def test_a_topic_made_anew_under_the_same_name_begins_at_zero_after_a_crash_too(disk: FaultyDisk) -> None:
    directory = opened(disk)
    log = directory.create("a", 0, TOPIC_ID)
    for _ in range(10):
        log.append([BATCH], now_ms=0)
    log.flush()
    log.tidy()
    directory.checkpoint()
    directory.delete("a", 0)
    log = directory.create("a", 0, bytes(16))
    log.append([BATCH], now_ms=0)
    log.flush()

    disk.restart(power_cut=True)
    again = opened(disk).get(("a", 0))

    assert again is not None
    assert (again.end_offset, again.topic_id, again.damaged) == (1, bytes(16), [])


def test_the_id_of_a_log_that_lost_it_can_be_corrected_for_good(disk: FaultyDisk) -> None:
    directory = opened(disk)
    directory.create("a", 0, TOPIC_ID).flush()
    disk.unlink("data/a-0/partition.metadata")
    directory.close()
    directory = opened(disk)
    log = directory.get(("a", 0))
    assert log is not None
    assert log.topic_id == bytes(16)

    log.topic_id = TOPIC_ID
    directory.close()

    again = opened(disk).get(("a", 0))
    assert again is not None
    assert again.topic_id == TOPIC_ID


def test_what_was_being_deleted_at_a_crash_is_gone_after_it(disk: FaultyDisk) -> None:
    directory = opened(disk)
    directory.create("a", 0, TOPIC_ID).flush()
    directory.delete("a", 0)
    disk.restart(power_cut=False)

    again = opened(disk)

    assert again.logs() == []
    assert not [name for name in disk.list_directory("data") if name.startswith("a-0")]


def test_deleted_records_stay_deleted_once_checkpointed(disk: FaultyDisk) -> None:
    directory = opened(disk)
    log = directory.create("a", 0, TOPIC_ID)
    for _ in range(10):
        log.append([BATCH], now_ms=0)
    log.flush()
    log.delete_records(4)
    directory.checkpoint()
    disk.restart(power_cut=True)

    again = opened(disk).get(("a", 0))

    assert again is not None
    assert (again.log_start_offset, again.end_offset) == (4, 10)


def test_checkpoints_hold_recovery_points_and_high_watermarks(disk: FaultyDisk) -> None:
    directory = opened(disk)
    log = directory.create("a", 0, TOPIC_ID)
    log.append([BATCH], now_ms=0)
    log.flush()
    log.tidy()
    log.append([BATCH], now_ms=0)

    directory.checkpoint()

    assert disk.bytes("data/recovery-point-offset-checkpoint") == b"0\n1\na 0 1\n"
    assert disk.bytes("data/replication-offset-checkpoint") == b"0\n1\na 0 1\n"
    assert disk.bytes("data/log-start-offset-checkpoint") == b"0\n0\n"


def test_only_a_clean_shutdown_leaves_its_mark_and_opening_takes_it_away(disk: FaultyDisk) -> None:
    directory = opened(disk)
    assert not directory.was_clean
    directory.close()
    assert disk.exists("data/.kafka_cleanshutdown")

    directory = opened(disk)

    assert directory.was_clean
    assert not disk.exists("data/.kafka_cleanshutdown")
    directory.abandon()
    assert not opened(disk).was_clean


def test_logs_to_which_nothing_was_appended_are_closed_without_a_look_at_their_files(
    disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = opened(disk)
    directory.create("empty", 0, TOPIC_ID)
    for number in range(2):
        log = directory.create("idle", number, TOPIC_ID)
        log.append([build_batch(RECORDS, timestamp_ms=0, producer_id=7, producer_epoch=0, base_sequence=0)], now_ms=0)
    directory.close()
    directory = opened(disk)
    directory.get(("idle", 1)).append([BATCH], now_ms=0)
    used: list[str] = []
    monkeypatch.setattr(disk, "open", lambda path, **how: (used.append(path), FaultyDisk.open(disk, path, **how))[1])

    directory.close()

    assert {path.split("/")[1] for path in used if path.startswith(("data/idle", "data/empty"))} == {"idle-1"}
    disk.restart(power_cut=True)
    again = opened(disk)
    assert again.was_clean
    logs = [again.get(key) for key in (("empty", 0), ("idle", 0), ("idle", 1))]
    assert [(log.end_offset, log.damaged) for log in logs] == [(0, []), (1, []), (2, [])]
    assert [len(log.active_producers()) for log in logs] == [0, 1, 1]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_log_whose_disk_failed_leaves_no_clean_mark(disk: FaultyDisk, threads: int) -> None:
    directory = opened(disk, recovery_threads=threads)
    directory.create("b", 0, TOPIC_ID)
    log = directory.create("a", 0, TOPIC_ID)
    log.append([BATCH], now_ms=0)
    log.flush()
    log.append([BATCH], now_ms=0)
    disk.failing_syncs = 1
    with pytest.raises(StorageError):
        log.flush()

    with pytest.raises(StorageError, match="offline"):
        directory.close()

    assert not disk.exists("data/.kafka_cleanshutdown")
    assert opened(disk).get(("a", 0)) is not None


def test_logs_of_topics_with_odd_names_are_found_again(disk: FaultyDisk) -> None:
    directory = opened(disk)
    for topic in ("a-1", "a.b_c-", "__consumer_offsets"):
        directory.create(topic, 7, TOPIC_ID)
    directory.close()

    assert sorted((log.topic, log.partition) for log in opened(disk).logs()) == [
        ("__consumer_offsets", 7), ("a-1", 7), ("a.b_c-", 7),
    ]  # fmt: skip


def test_a_directory_in_use_names_the_process_that_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "data")
    directory = LogDirectory.open(path, RealDisk(), FixedClock())

    with pytest.raises(
        DataDirectoryInUse, match=f"{path} is in use by process {os.getpid()}; stop it, or name another"
    ):
        LogDirectory.open(path, RealDisk(), FixedClock())

    directory.close()
    LogDirectory.open(path, RealDisk(), FixedClock()).close()


def test_deleting_logs_while_the_committer_syncs_them_harms_no_other(tmp_path: Path) -> None:
    directory = LogDirectory.open(str(tmp_path / "data"), RealDisk(), FixedClock())
    kept = directory.create("kept", 0, TOPIC_ID)
    commits = GroupCommit(lambda _: None)
    for _ in range(100):
        log = directory.create("gone", 0, TOPIC_ID, LogConfig(index_interval_bytes=0))
        for _ in range(3):
            log.append([BATCH], now_ms=0)
            kept.append([BATCH], now_ms=0)
            commits.kick(log)
            commits.kick(kept)
        directory.delete("gone", 0)

    commits.close()
    assert (kept.flushed_offset, kept.failure) == (300, None)
    directory.close()
    again = LogDirectory.open(str(tmp_path / "data"), RealDisk(), FixedClock())
    assert [(log.topic, log.end_offset, log.damaged) for log in again.logs()] == [("kept", 300, [])]
    again.close()


def test_a_directory_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match=r"file/data cannot be used"):
        LogDirectory.open(str(tmp_path / "file" / "data"), RealDisk(), FixedClock())
