"""Good batches and the bytes between them, held against plain definitions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.log.leader_epochs import LeaderEpochs
from millstream.core.log.segments.batch_scan import Damage, ScannedBatch, find_batch, scan_batches, take_batches
from millstream.core.wire.batches import SimpleRecord, build_batch

BOUND = 10**6
EPOCHS = LeaderEpochs([(0, 0)])


def batch(base_offset: int, count: int = 1, size: int = 5) -> bytes:
    return build_batch([SimpleRecord(0, 1, None, b"v" * size)] * count, timestamp_ms=1, base_offset=base_offset)


def scan(data: bytes, *, end: int | None = None, expected: int = 0, bound: int = BOUND) -> list[ScannedBatch | Damage]:
    def read(position: int, size: int) -> bytes:
        return data[position : position + size]

    end = len(data) if end is None else end
    return list(scan_batches(read, position=0, end=end, expected=expected, bound=bound, epochs=EPOCHS))


def offsets(found: list[ScannedBatch | Damage]) -> list[tuple[str, int, int]]:
    return [
        ("good", one.base_offset, one.next_offset)
        if isinstance(one, ScannedBatch)
        else ("damage", one.first_offset, one.next_offset)
        for one in found
    ]


GOOD = [batch(0, 3), batch(3, 1, 100), batch(4, 6), batch(10, 2)]


def test_batches_without_damage_are_all_found() -> None:
    assert offsets(scan(b"".join(GOOD))) == [("good", 0, 3), ("good", 3, 4), ("good", 4, 10), ("good", 10, 12)]


def test_gaps_in_the_offsets_as_compaction_leaves_them_are_no_damage() -> None:
    assert offsets(scan(batch(5) + batch(9, 2))) == [("good", 5, 6), ("good", 9, 11)]


@pytest.mark.parametrize("at", range(61))
@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_flipped_bit_in_any_header_byte_but_the_epoch_is_damage_of_that_batch_only(at: int, bit: int) -> None:
    data = bytearray(b"".join(GOOD))
    data[len(GOOD[0]) + at] ^= 1 << bit

    found = offsets(scan(bytes(data)))

    if at in range(12, 16):
        noted = scan_batches(
            lambda position, size: bytes(data[position : position + size]), position=0, end=len(data), expected=0,
            bound=BOUND, epochs=LeaderEpochs([(0, 0)]),
        )  # fmt: skip
        found = offsets(list(noted))
    assert found == [("good", 0, 3), ("damage", 3, 4), ("good", 4, 10), ("good", 10, 12)]


@pytest.mark.parametrize("cut", [1, 11, 12, 60, 61, 70])
def test_a_torn_tail_is_damage_without_an_end(cut: int) -> None:
    data = b"".join(GOOD)[:-cut]

    assert offsets(scan(data))[-1] == ("damage", 10, -1)


def test_a_hole_of_zeros_is_damage_up_to_the_next_batch() -> None:
    found = scan(GOOD[0] + bytes(500) + GOOD[2])

    assert offsets(found) == [("good", 0, 3), ("damage", 3, 4), ("good", 4, 10)]
    assert found[1][:2] == (len(GOOD[0]), len(GOOD[0]) + 500)


def test_batches_at_or_above_the_bound_do_not_belong_to_the_segment() -> None:
    assert offsets(scan(b"".join(GOOD), bound=10)) == [
        ("good", 0, 3), ("good", 3, 4), ("good", 4, 10), ("damage", 10, -1),
    ]  # fmt: skip


def test_a_file_shorter_than_the_segment_is_damage() -> None:
    data = b"".join(GOOD)

    assert offsets(scan(data, end=len(data) + 100))[-1] == ("damage", 12, -1)


@settings(max_examples=some(200))
@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
def test_every_batch_outside_of_overwritten_bytes_is_found(counts: list[int], data: st.DataObject) -> None:
    batches, base = [], 0
    for count in counts:
        batches.append(batch(base, count, data.draw(st.integers(0, 30))))
        base += count
    whole = bytearray(b"".join(batches))
    start = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=80))[: len(whole) - start]
    before = bytes(whole)
    whole[start : start + len(junk)] = junk

    found = scan(bytes(whole), bound=base)

    position = 0
    intact = []
    for one in batches:
        if before[position : position + len(one)] == whole[position : position + len(one)]:
            intact.append(position)
        position += len(one)
    assert set(intact) <= {one.position for one in found if isinstance(one, ScannedBatch)}


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_never_taken_for_a_batch(junk: bytes) -> None:
    assert find_batch(lambda at, size: junk[at : at + size], position=0, end=len(junk), expected=0, bound=BOUND) == (
        len(junk),
        -1,
    )


def take(data: bytes, *, offset: int = 0, max_offset: int = BOUND, size: int | None = None):
    return take_batches(
        memoryview(data)[:size], offset=offset, expected=0, max_offset=max_offset, bound=BOUND, segment_end=len(data),
        epochs=EPOCHS,
    )  # fmt: skip


def test_whole_batches_from_the_one_that_holds_the_offset_are_taken() -> None:
    data = b"".join(GOOD)

    taken = take(data, offset=5)

    assert (taken.start, taken.end) == (len(GOOD[0] + GOOD[1]), len(data))
    assert (taken.first_offset, taken.next_offset, taken.fault) == (4, 12, "")


def test_what_is_taken_ends_below_the_largest_offset_and_within_the_data() -> None:
    data = b"".join(GOOD)

    assert take(data, max_offset=4).next_offset == 4
    assert take(data, size=len(data) - 1).next_offset == 10


def test_a_batch_larger_than_the_data_says_how_much_it_needs() -> None:
    taken = take(GOOD[2] + GOOD[3], size=65)

    assert (taken.start, taken.end) == (0, 0)
    assert taken.wanted_bytes >= len(GOOD[2])


def test_a_batch_of_another_epoch_than_the_noted_one_ends_the_run() -> None:
    data = bytearray(GOOD[0] + GOOD[1])
    data[len(GOOD[0]) + 15] ^= 1

    taken = take(bytes(data))

    assert taken.next_offset == 3
    assert "leader epoch" in taken.fault
