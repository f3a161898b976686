"""Files that are replaced as a whole, and files that grow by entries."""

from random import Random

import pytest
from core.log.faulty_disk import FaultyDisk

from millstream.core.log.files import EntryFile, make_lasting_directory, read_file, replace_file


@pytest.fixture
def disk() -> FaultyDisk:
    found = FaultyDisk(Random(0))
    make_lasting_directory(found, "a/b")
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_replaced_file_is_the_old_or_the_new_one_whatever_happens(seed: int) -> None:
    disk = FaultyDisk(Random(seed))
    make_lasting_directory(disk, "a/b")
    replace_file(disk, "a/b/f", b"old")
    disk.crash_after(seed % 6)
    try:
        replace_file(disk, "a/b/f", b"newer")
        acknowledged = True
    except BaseException:
        acknowledged = False

    disk.restart(power_cut=True)

    assert read_file(disk, "a/b/f") in ((b"newer",) if acknowledged else (b"old", b"newer"))


def test_a_new_directory_outlives_a_power_cut_with_those_above_it(disk: FaultyDisk) -> None:
    disk.restart(power_cut=True)

    assert disk.list_directory("a") == ["b"]


def test_a_missing_file_reads_as_nothing(disk: FaultyDisk) -> None:
    assert read_file(disk, "a/b/f") == b""


def test_entries_are_written_behind_those_that_hold(disk: FaultyDisk) -> None:
    file = EntryFile(disk, "a/b/f", written_bytes=0)
    file.extend(b"aaaabbbb")
    file.written_bytes = 4
    file.extend(b"cc")
    assert disk.bytes("a/b/f") == b"aaaaccbb"

    file.finish()

    assert disk.bytes("a/b/f") == b"aaaacc"


def test_a_failed_write_of_entries_is_done_again(disk: FaultyDisk) -> None:
    file = EntryFile(disk, "a/b/f", written_bytes=0)
    disk.free_bytes = 2
    with pytest.raises(OSError, match="No space"):
        file.extend(b"aaaa")
    disk.free_bytes = None

    file.extend(b"aaaa")

    assert disk.bytes("a/b/f") == b"aaaa"


def test_nothing_is_made_for_no_entries(disk: FaultyDisk) -> None:
    file = EntryFile(disk, "a/b/f", written_bytes=0)

    file.extend(b"")
    file.sync()
    file.finish()

    assert disk.list_directory("a/b") == []
