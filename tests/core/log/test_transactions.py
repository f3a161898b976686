"""Transactions in one log: what is stable, which aborts a reader is told, and what survives a restart."""

from collections.abc import Callable

import pytest
from core.log.faulty_disk import FaultyDisk
from core.log.log_world import FixedClock

from millstream.core.errors import ProtocolError
from millstream.core.log.directory import LogDirectory
from millstream.core.log.partition_log import PartitionLog
from millstream.core.log.producers.transaction_index import AbortedTransaction
from millstream.core.wire.batches import SimpleRecord, build_batch, check_batch

NOW_MS = 1_700_000_000_000
MakeLog = Callable[..., PartitionLog]


def write(log: PartitionLog, producer_id: int, sequence: int, *, epoch: int = 0, count: int = 1) -> int:
    batch = build_batch(
        [SimpleRecord(0, NOW_MS, None, b"v")] * count, timestamp_ms=NOW_MS, producer_id=producer_id,
        producer_epoch=epoch, base_sequence=sequence, transactional=True,
    )  # fmt: skip
    return log.append([batch], now_ms=NOW_MS).base_offset


def end(log: PartitionLog, producer_id: int, *, commit: bool, epoch: int = 0) -> int:
    return log.append_marker(producer_id, epoch, commit, 0, NOW_MS).base_offset


def aborted(log: PartitionLog, offset: int, max_bytes: int = 100_000) -> list[tuple[int, int]]:
    found = log.read(offset, max_bytes=max_bytes, max_offset=log.last_stable_offset)
    return [(one.producer_id, one.first_offset) for one in found.aborted]


def test_stable_is_what_lies_before_the_first_open_transaction(make_log: MakeLog) -> None:
    log = make_log()
    write(log, 1, 0)
    write(log, 2, 0)
    log.flush()
    assert (log.last_stable_offset, log.open_transactions()) == (0, {1: 0, 2: 1})

    end(log, 1, commit=True)
    log.flush()
    assert (log.last_stable_offset, log.open_transactions()) == (1, {2: 1})

    end(log, 2, commit=False)
    log.flush()
    assert (log.last_stable_offset, log.open_transactions()) == (4, {})


def test_a_transaction_is_stable_only_once_its_marker_is_on_the_medium(make_log: MakeLog) -> None:
    log = make_log()
    write(log, 1, 0, count=5)
    log.flush()
    end(log, 1, commit=True)

    assert (log.high_watermark, log.last_stable_offset) == (5, 0)
    log.flush()
    assert (log.high_watermark, log.last_stable_offset) == (6, 6)


def test_readers_are_told_the_aborts_among_what_they_read(make_log: MakeLog) -> None:
    log = make_log(segment_bytes=300)
    for round_number in range(6):
        write(log, 1, round_number)
        write(log, 2, round_number)
        end(log, 1, commit=round_number % 2 == 0)
        end(log, 2, commit=True)
    log.flush()

    told = {}
    offset = 0
    while offset < log.last_stable_offset:
        read = log.read(offset, max_bytes=150, max_offset=log.last_stable_offset)
        told[offset] = [(one.producer_id, one.first_offset) for one in read.aborted]
        offset = read.next_offset

    assert {first for entries in told.values() for _, first in entries} == {4, 12, 20}
    assert told[0] == []
    assert all(producer_id == 1 for entries in told.values() for producer_id, _ in entries)


def test_an_abort_that_began_before_the_read_and_ends_behind_it_is_told(make_log: MakeLog) -> None:
    log = make_log(segment_bytes=200)
    for sequence in range(10):
        write(log, 1, sequence)
    end(log, 1, commit=False)
    log.flush()

    assert aborted(log, 5, max_bytes=1) == [(1, 0)]
    assert aborted(log, 10, max_bytes=1) == [(1, 0)]


def test_a_marker_is_a_control_batch_of_its_producer(make_log: MakeLog) -> None:
    log = make_log()
    write(log, 1, 0, epoch=3)
    marker = end(log, 1, commit=True, epoch=3)
    log.flush()

    header = check_batch(log.read(marker, max_bytes=1).data[0])

    assert (header.is_control, header.is_transactional, header.base_offset) == (True, True, 1)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1, 3, -1)


def test_a_marker_of_an_old_epoch_is_refused_and_leaves_no_trace(make_log: MakeLog) -> None:
    log = make_log()
    write(log, 1, 0, epoch=3)

    with pytest.raises(ProtocolError, match="INVALID_PRODUCER_EPOCH"):
        end(log, 1, commit=True, epoch=2)

    assert (log.end_offset, log.open_transactions()) == (1, {1: 0})


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("snapshots", [True, False])
def test_transactions_survive_a_restart(
    make_log: MakeLog, directory: LogDirectory, disk: FaultyDisk, clean: bool, snapshots: bool
) -> None:
    log = make_log(segment_bytes=300)
    for round_number in range(6):
        write(log, 1, round_number)
        end(log, 1, commit=round_number % 2 == 0)
    write(log, 2, 0, count=2)
    log.flush()
    log.tidy()
    told = [aborted(log, offset) for offset in range(12)]
    if clean:
        directory.close()
    disk.restart(power_cut=not clean)
    if not snapshots:
        for path in [path for path in disk.files(log.path) if path.endswith(".snapshot")]:
            disk.unlink(path)

    again = LogDirectory.open("data", disk, FixedClock()).get(("t", 0))

    assert again is not None
    assert (again.end_offset, again.last_stable_offset, again.open_transactions()) == (14, 12, {2: 12})
    assert [aborted(again, offset) for offset in range(12)] == told
    assert write(again, 1, 6) == 14
    assert write(again, 2, 0, count=2) == 12
    assert end(again, 2, commit=True) == 15


def test_a_damaged_transaction_index_is_made_anew_from_the_log(
    make_log: MakeLog, directory: LogDirectory, disk: FaultyDisk
) -> None:
    log = make_log(segment_bytes=300)
    for round_number in range(6):
        write(log, 1, round_number)
        end(log, 1, commit=False)
    log.flush()
    told = [aborted(log, offset) for offset in range(12)]
    directory.close()
    damaged = [path for path in disk.files(log.path) if path.endswith(".txnindex")]
    for path in damaged:
        disk.flip_bit(path, 0, 0)

    again = LogDirectory.open("data", disk, FixedClock()).get(("t", 0))

    assert again is not None
    assert len(damaged) > 1
    assert [aborted(again, offset) for offset in range(12)] == told
    assert AbortedTransaction(1, 0, 1, 2) in again.read(0, max_bytes=1).aborted
