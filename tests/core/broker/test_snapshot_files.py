"""The files of snapshots: what stands under its own name is whole, whatever the crash."""

import errno
from random import Random

import pytest
from core.log.faulty_disk import Crashed, FaultyDisk
from thoroughness import some

from millstream.core.broker.topics.snapshot_files import SnapshotFiles
from millstream.core.coordinators.cluster_snapshot import snapshot_batches
from millstream.core.coordinators.snapshot_rules import SnapshotId
from millstream.core.wire.message import Message
from millstream.core.wire.messages.data_config_record import ConfigRecord

FOLDER = "data/log"
FIRST, SECOND = SnapshotId(10, 0), SnapshotId(250, 3)


def records(count: int) -> list[Message]:
    return [ConfigRecord(resource_type=4, resource_name="", name="n", value=str(number)) for number in range(count)]


def parts(count: int) -> list[bytes]:
    return list(snapshot_batches(records(count), leader_epoch=0, last_contained_ms=1, now_ms=1))


def new_disk(seed: int = 1) -> FaultyDisk:
    disk = FaultyDisk(Random(seed))
    disk.make_directory(FOLDER)
    disk.sync_directory("data")
    disk.sync_directory("")
    return disk


def test_snapshots_are_found_oldest_first_with_kafkas_names() -> None:
    disk = new_disk()
    files = SnapshotFiles(disk, FOLDER)
    files.write(SECOND, parts(5))
    files.write(FIRST, parts(4))

    assert files.found() == [FIRST, SECOND]
    assert disk.list_directory(FOLDER) == [
        "00000000000000000010-0000000000.checkpoint", "00000000000000000250-0000000003.checkpoint",
    ]  # fmt: skip
    assert files.read(SECOND) == records(5)
    assert files.known(SECOND).size_bytes == sum(map(len, parts(5)))


@pytest.mark.parametrize("seed", range(10 * some(4)))
def test_a_power_cut_at_any_step_leaves_a_snapshot_whole_or_not_there(seed: int) -> None:
    disk = new_disk(seed)
    files = SnapshotFiles(disk, FOLDER)
    files.write(FIRST, parts(40))
    disk.crash_after(seed % 10)
    written = False
    try:
        files.write(SECOND, parts(3_000))
        written = True
        files.remove_below(SECOND.end_offset)
    except Crashed:
        pass
    disk.restart(power_cut=True)

    files = SnapshotFiles(disk, FOLDER)
    files.remove_unfinished()

    assert files.found() in ([FIRST], [FIRST, SECOND], [SECOND])
    assert SECOND in files.found() or not written
    for found in files.found():
        assert files.read(found) == records(40 if found == FIRST else 3_000)
    assert not [name for name in disk.list_directory(FOLDER) if not name.endswith(".checkpoint")]


def test_a_full_disk_gets_its_room_back_and_keeps_what_was_there() -> None:
    disk = new_disk()
    files = SnapshotFiles(disk, FOLDER)
    files.write(FIRST, parts(4))
    disk.free_bytes = 1000

    with pytest.raises(OSError, match="No space") as failure:
        files.write(SECOND, parts(3_000))

    assert failure.value.errno == errno.ENOSPC
    assert disk.list_directory(FOLDER) == ["00000000000000000010-0000000000.checkpoint"]
    assert files.read(FIRST) == records(4)


def test_a_snapshot_that_could_not_be_synced_does_not_get_its_name() -> None:
    disk = new_disk()
    files = SnapshotFiles(disk, FOLDER)
    disk.failing_syncs = 1

    with pytest.raises(OSError, match="Input/output"):
        files.write(FIRST, parts(4))

    assert files.found() == []


def test_those_behind_an_offset_are_gone_for_good_and_those_before_one_go() -> None:
    disk = new_disk()
    files = SnapshotFiles(disk, FOLDER)
    for end_offset in (10, 20, 30, 40):
        files.write(SnapshotId(end_offset, 0), parts(1))

    files.remove_below(20)
    files.remove_above(30)
    disk.restart(power_cut=True)

    found = [one.end_offset for one in SnapshotFiles(disk, FOLDER).found()]
    assert found == [20, 30]
