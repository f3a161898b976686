"""What a log directory looks like after all kinds of ends, and what is made of it."""

from random import Random

import pytest
from core.log.faulty_disk import FaultyDisk

from millstream.core.log.file_names import segment_file
from millstream.core.log.files import make_lasting_directory, read_file, write_new_file
from millstream.core.log.loading import LoadedLog, Loader, LoadPoint
from millstream.core.log.log_damage import LogDamage
from millstream.core.wire.batches import SimpleRecord, build_batch

PATH = "data/t-0"
NOW_MS = 1_700_000_000_000


def batch(base_offset: int, count: int = 1, **fields: int) -> bytes:
    return build_batch([SimpleRecord(0, NOW_MS, b"k", b"v")] * count, timestamp_ms=0, base_offset=base_offset, **fields)


@pytest.fixture
def disk() -> FaultyDisk:
    found = FaultyDisk(Random(0))
    make_lasting_directory(found, PATH)
    return found


def put(disk: FaultyDisk, base_offset: int, *batches: bytes, suffix: str = ".log") -> None:
    write_new_file(disk, f"{PATH}/{segment_file(base_offset, suffix)}", b"".join(batches)).close()


def load(disk: FaultyDisk, recovery_point: int = 0, *, clean: bool = False, **point: int) -> LoadedLog:
    return Loader(disk, PATH, LoadPoint(clean, recovery_point, **point), index_interval=100).load()


def bases(loaded: LoadedLog) -> list[int]:
    return [segment.base_offset for segment in loaded.segments]


def test_an_empty_directory_becomes_a_log_at_its_start_offset(disk: FaultyDisk) -> None:
    loaded = load(disk, log_start_offset=7)

    assert (bases(loaded), loaded.end_offset, loaded.log_start_offset) == ([7], 7, 7)


def test_a_torn_tail_above_the_recovery_point_is_cut(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), batch(3, 2), batch(5, 4)[:-1])

    loaded = load(disk, 3)

    assert (loaded.end_offset, loaded.damaged) == (5, [])
    assert read_file(disk, f"{PATH}/{segment_file(0, '.log')}") == batch(0, 3) + batch(3, 2)


def test_whole_batches_behind_a_hole_above_the_recovery_point_are_cut_too(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0), bytes(len(batch(1))), batch(2), batch(3))

    assert load(disk, 1).end_offset == 1


def test_segments_behind_the_cut_are_removed_with_all_their_files(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0), bytes(50))
    put(disk, 2, batch(2))
    put(disk, 2, b"", suffix=".index")
    put(disk, 2, b"junk", suffix=".snapshot")
    put(disk, 9, b"junk", suffix=".snapshot")

    loaded = load(disk)

    assert (bases(loaded), loaded.end_offset) == ([0], 1)
    assert [name for name in disk.list_directory(PATH) if name[:20] != segment_file(0, "")] == [
        "leader-epoch-checkpoint"
    ]


def test_a_segment_that_does_not_join_the_one_before_is_removed_above_the_recovery_point(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 2))
    put(disk, 5, batch(5))

    assert bases(load(disk, 2)) == [0]


@pytest.mark.parametrize("known_by", ["recovery_point", "cleaned_to"])
def test_a_gap_between_segments_below_what_was_flushed_or_compacted_is_kept(disk: FaultyDisk, known_by: str) -> None:
    put(disk, 0, batch(0, 2))
    put(disk, 5, batch(5))

    loaded = load(disk, **{"recovery_point": 0, known_by: 5})

    assert (bases(loaded), loaded.end_offset, loaded.damaged) == ([0, 5], 6, [])


def test_damage_below_the_recovery_point_stays_and_is_reported(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), batch(3, 2)[:-1] + b"!", batch(5, 4))

    loaded = load(disk, 9)

    start, end = len(batch(0, 3)), len(batch(0, 3) + batch(3, 2))
    assert loaded.damaged == [LogDamage(0, start, end, 3, 5, "the checksum does not fit")]
    assert loaded.end_offset == 9


def test_behind_damage_at_the_end_the_log_goes_on_in_a_new_segment_at_the_recovery_point(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), b"#" * 300)

    loaded = load(disk, 8)

    assert (bases(loaded), loaded.end_offset) == ([0, 8], 8)
    assert [(one.first_offset, one.next_offset) for one in loaded.damaged] == [(3, 8)]
    assert read_file(disk, f"{PATH}/{segment_file(0, '.log')}").endswith(b"#" * 300)


def test_batches_above_the_recovery_point_that_follow_damage_with_a_gap_are_not_believed(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), b"#" * 300, batch(20, 2))

    loaded = load(disk, 8)

    assert (bases(loaded), loaded.end_offset) == ([0, 8], 8)


def test_loading_twice_gives_the_same(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), b"#" * 300, batch(20, 2))

    first = load(disk, 8)
    again = load(disk, 8)

    assert (bases(again), again.end_offset, again.damaged) == (bases(first), first.end_offset, first.damaged)


def test_a_clean_log_that_does_not_end_at_its_recovery_point_is_looked_at_as_after_a_crash(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), batch(3), batch(4)[:-3])

    assert load(disk, 4, clean=True).end_offset == 4


def test_left_over_files_are_removed_and_others_left_alone(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0))
    for name in (f"{segment_file(5, '.index')}", "x.deleted", "x.cleaned", "x.tmp"):
        write_new_file(disk, f"{PATH}/{name}", b"x").close()
    write_new_file(disk, f"{PATH}/partition.metadata", b"x").close()

    load(disk)

    names = disk.list_directory(PATH)
    assert not [
        name for name in names if name.endswith((".deleted", ".cleaned", ".tmp")) or name.startswith("0" * 19 + "5")
    ]
    assert "partition.metadata" in names


def test_an_exchange_of_segments_that_was_under_way_is_completed(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0), batch(3), suffix=".log.swap")
    put(disk, 0, b"", suffix=".index.swap")
    put(disk, 0, batch(0), batch(1), suffix=".log.deleted")
    put(disk, 2, batch(2), batch(3))
    put(disk, 4, batch(4))

    loaded = load(disk, 4)

    assert (bases(loaded), loaded.end_offset, loaded.damaged) == ([0, 4], 5, [])
    assert read_file(disk, f"{PATH}/{segment_file(0, '.log')}") == batch(0) + batch(3)
    assert [name for name in disk.list_directory(PATH) if name.endswith((".swap", ".cleaned", ".deleted"))] == []


def test_an_exchange_of_segments_that_was_not_decided_is_taken_back(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0), suffix=".log.swap")
    put(disk, 0, b"", suffix=".index.cleaned")
    put(disk, 0, batch(0), batch(1))
    put(disk, 2, batch(2))

    loaded = load(disk, 2)

    assert (bases(loaded), loaded.end_offset, loaded.damaged) == ([0, 2], 3, [])
    assert read_file(disk, f"{PATH}/{segment_file(0, '.log')}") == batch(0) + batch(1)
    assert [name for name in disk.list_directory(PATH) if name.endswith((".swap", ".cleaned", ".deleted"))] == []


def test_leader_epochs_are_found_from_the_batches_when_their_file_is_gone(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3, leader_epoch=1), batch(3, leader_epoch=1), batch(4, leader_epoch=4))

    assert load(disk, 5).epochs.entries() == [(1, 0), (4, 4)]


def test_what_holds_is_on_the_medium_before_the_log_takes_appends(disk: FaultyDisk) -> None:
    put(disk, 0, batch(0, 3), batch(3, 2))

    load(disk)

    assert disk.durable_bytes(f"{PATH}/{segment_file(0, '.log')}") == batch(0, 3) + batch(3, 2)
