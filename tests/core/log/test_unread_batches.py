"""Reads that leave batches in their file, beside reads of the same log that do not."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from core.log.log_world import FixedClock
from thoroughness import some

from millstream.core.config import LogConfig
from millstream.core.errors import CorruptRecords
from millstream.core.log.directory import DirectoryConfig, LogDirectory
from millstream.core.log.log_reader import ReadResult
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.real_disk import RealDisk
from millstream.core.ports import SMALLEST_RANGE_BYTES
from millstream.core.wire.batches import SimpleRecord, build_batch

NOW_MS = 1_700_000_000_000


def batch(random: Random, size_bytes: int) -> bytes:
    return build_batch([SimpleRecord(0, NOW_MS, None, random.randbytes(size_bytes))], timestamp_ms=0)


def opened(path: Path, config: LogConfig) -> LogDirectory:
    return LogDirectory.open(str(path), RealDisk(), FixedClock(), DirectoryConfig(defaults=config))


def made(path: Path, config: LogConfig) -> PartitionLog:
    return opened(path, config).create("t", 0, bytes(range(16)), config)


def begun(path: Path, *, batches: int) -> PartitionLog:
    """A log with so many batches of 10 kB, of which a reader has had the first."""
    log = made(path, LogConfig())
    for _ in range(batches):
        log.append([batch(Random(1), 10_000)], now_ms=NOW_MS)
    log.flush()
    log.read(0, max_bytes=1)
    return log


def content(read: ReadResult) -> bytes:
    return b"".join([read.unread.read() if read.unread is not None else b"", *read.data])


def read_all(log: PartitionLog, *, leave_in_file: bool, max_bytes: Callable[[], int], limit: int) -> tuple[bytes, int]:
    """All batches of a log, and how many bytes of them were left in a file."""
    offset, data, unread_bytes = 0, b"", 0
    while offset < limit:
        read = log.read(offset, max_bytes=max_bytes(), max_offset=limit, leave_in_file=leave_in_file)
        assert read.next_offset > offset
        found = content(read)
        assert len(found) == read.size_bytes
        assert int.from_bytes(found[:8]) == read.first_offset
        data += found
        unread_bytes += len(read.unread) if read.unread is not None else 0
        offset = read.next_offset
    return data, unread_bytes


@pytest.mark.parametrize("seed", range(some(8)))
def test_the_same_batches_come_whatever_a_reader_asks_for(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    sizes = random.choice([(10, 500), (10_000, 20_000), (100, 200_000)])
    config = LogConfig(segment_bytes=random.choice([600_000, 2**30]))
    log = made(tmp_path, config)
    for _ in range(20):
        log.append([batch(random, random.randint(*sizes)) for _ in range(random.randint(1, 30))], now_ms=NOW_MS)
    log.flush()
    limit = random.choice([log.end_offset, log.end_offset * 2 // 3])

    plain, _ = read_all(log, leave_in_file=False, max_bytes=lambda: 2**20, limit=limit)
    left, _ = read_all(log, leave_in_file=True, max_bytes=lambda: random.randint(1, 2**20), limit=limit)

    assert left == plain


def test_what_was_appended_is_left_in_the_file_and_nothing_above_the_limit_goes_with_it(tmp_path: Path) -> None:
    log = begun(tmp_path, batches=100)

    read = log.read(1, max_bytes=2**20, max_offset=50, leave_in_file=True)

    assert read.unread is not None
    assert len(read.unread) > SMALLEST_RANGE_BYTES
    assert read.next_offset <= 50
    assert content(read) == content(log.read(1, max_bytes=read.size_bytes))


def test_a_reader_of_all_there_is_gets_the_last_batch_too(tmp_path: Path) -> None:
    log = begun(tmp_path, batches=30)

    read = log.read(1, max_bytes=2**20, leave_in_file=True)

    assert read.unread is not None
    assert (read.next_offset, len(read.data)) == (30, 1)


def test_many_readers_who_begin_at_one_place_hold_no_batches_in_memory(tmp_path: Path) -> None:
    config = LogConfig()
    directory = opened(tmp_path, config)
    log = directory.create("t", 0, bytes(range(16)), config)
    for _ in range(100):
        log.append([batch(Random(1), 10_000)], now_ms=NOW_MS)
    log.flush()
    expected = read_all(log, leave_in_file=False, max_bytes=lambda: 2**20, limit=100)[0]
    reads = [log.read(0, max_bytes=2**30, leave_in_file=True)]
    directory.close()
    again = opened(tmp_path, config).get(("t", 0))
    assert again is not None

    reads += [again.read(0, max_bytes=2**30, leave_in_file=True) for _ in range(2)]

    assert [len(read.data) for read in reads] == [1, 1, 1]
    assert [len(read.data[0]) < SMALLEST_RANGE_BYTES for read in reads] == [True] * 3
    assert [content(read) == expected for read in reads[1:]] == [True, True]


def test_after_a_restart_batches_are_checked_once_before_they_are_left_in_the_file(tmp_path: Path) -> None:
    config = LogConfig(segment_bytes=400_000)
    directory = opened(tmp_path, config)
    log = directory.create("t", 0, bytes(range(16)), config)
    for _ in range(100):
        log.append([batch(Random(1), 10_000)], now_ms=NOW_MS)
    log.flush()
    directory.close()
    again = opened(tmp_path, config).get(("t", 0))
    assert again is not None
    damage(tmp_path / "t-0" / f"{0:020}.log", at=205_000)

    with pytest.raises(CorruptRecords, match="offsets 20 to 20 are damaged"):
        read_all(again, leave_in_file=True, max_bytes=lambda: 100_000, limit=100)
    first, unread_bytes = read_all(again, leave_in_file=True, max_bytes=lambda: 100_000, limit=20)

    assert unread_bytes > 0
    assert first == read_all(again, leave_in_file=False, max_bytes=lambda: 100_000, limit=20)[0]


def test_what_cannot_be_read_from_the_file_is_checked_again(tmp_path: Path) -> None:
    log = begun(tmp_path, batches=100)
    read = log.read(1, max_bytes=500_000, leave_in_file=True)
    os.truncate(tmp_path / "t-0" / f"{0:020}.log", 100_000)

    assert read.unread is not None
    with pytest.raises(OSError, match="the file ends at 100000"):
        read.unread.read()

    assert log.read(1, max_bytes=500_000, leave_in_file=True).next_offset == 9
    with pytest.raises(CorruptRecords, match="offsets 9 to"):
        log.read(9, max_bytes=500_000, leave_in_file=True)


def damage(path: Path, *, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
