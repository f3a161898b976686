"""Which files of a log stay open when its segments go: those that somebody still reads, and no others."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from core.log.log_world import FixedClock

from millstream.core.config import LogConfig
from millstream.core.errors import StorageError
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.wire.batches import SimpleRecord, build_batch

NOW_MS = 1_700_000_000_000
SEGMENTS = 8
KEPT = LogConfig(segment_bytes=300_000, file_delete_delay_ms=0)
GONE = LogConfig(segment_bytes=300_000, file_delete_delay_ms=0, retention_bytes=1)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")


def open_files(path: Path) -> list[str]:
    """Those of `path` that this process has open, also those that have no name any more."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # That of the listing itself.
            continue
    return sorted(link.removeprefix(f"{path}/") for link in links if link.startswith(f"{path}/"))


@contextmanager
def uncollected() -> Iterator[None]:
    """A server that has little to do collects no cycles for hours."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def read_log(path: Path) -> PartitionLog:
    """A log of several segments, all of which have been read."""
    directory = LogDirectory.open(str(path), RealDisk(), FixedClock(), DirectoryConfig(defaults=KEPT))
    log = directory.create("t", 0, bytes(range(16)), KEPT)
    while len(log.segments.layout.segments) < SEGMENTS:
        log.append([build_batch([SimpleRecord(0, NOW_MS, None, b"v" * 50_000)], timestamp_ms=0)], now_ms=NOW_MS)
    log.flush()
    log.tidy()
    offset = 0
    while offset < log.high_watermark:
        offset = log.read(offset, max_bytes=100_000, leave_in_file=True).next_offset
    return log


def delete_old(log: PartitionLog) -> None:
    log.config = GONE
    assert log.delete_old_segments(NOW_MS) == SEGMENTS - 1
    log.tidy()


def test_segments_that_retention_removes_are_closed(tmp_path: Path) -> None:
    with uncollected():
        log = read_log(tmp_path)
        delete_old(log)

        log.remove_deleted(NOW_MS)

        assert [name for name in open_files(tmp_path) if "deleted" in name] == []


def test_what_a_peer_is_still_sent_stays_open_until_that_is_done(tmp_path: Path) -> None:
    with uncollected():
        log = read_log(tmp_path)
        sent = log.read(1, max_bytes=240_000, leave_in_file=True).unread
        assert sent is not None
        before = sent.read()
        delete_old(log)

        log.remove_deleted(NOW_MS)

        deleted = f"t-0/{0:020}.log.deleted (deleted)"
        assert [name for name in open_files(tmp_path) if "deleted" in name] == [deleted]
        assert sent.read() == before
        del sent
        assert [name for name in open_files(tmp_path) if "deleted" in name] == []


def test_a_log_that_is_deleted_lets_go_of_all_its_files_though_a_session_knows_it(tmp_path: Path) -> None:
    with uncollected():
        log = read_log(tmp_path)
        delete_old(log)

        log.abandon("deleted")

        assert [name for name in open_files(tmp_path) if name.startswith("t-0/")] == []


def test_what_is_told_of_an_offline_log_does_not_grow(tmp_path: Path) -> None:
    """An error that is raised again keeps the frames of all the times before, and what stands in them."""
    log = read_log(tmp_path)
    log.abandon("deleted")

    def depth() -> int:
        with pytest.raises(StorageError) as told:
            log.read(0, max_bytes=1)
        return len(told.traceback)

    assert depth() == depth() == depth()
