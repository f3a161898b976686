import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.consuming.decoding import DecodeOptions, decode_blob
from millstream.core.client.consuming.fetch_state import Blob, split_batches, whole_batches
from millstream.core.wire.batches import SimpleRecord, build_batch

OPTIONS = DecodeOptions(read_committed=False, check_crcs=True)


def batch(first: int, count: int = 2) -> bytes:
    return build_batch(
        [SimpleRecord(first + n, 5, None, b"v") for n in range(count)], base_offset=first, timestamp_ms=5
    )


def blob(*buffers: bytes, from_offset: int = 0) -> Blob:
    size, next_offset = whole_batches(buffers)
    assert next_offset is not None
    return Blob(0, buffers, size, from_offset, next_offset, ())


def offsets(items) -> list[int]:
    return [row.offset for item in items for row in item.records.rows()]


def test_a_blob_becomes_one_item():
    items, damage = decode_blob(blob(batch(0) + batch(2), batch(4)), "t", 0, OPTIONS)

    assert (len(items), offsets(items), items[0].next_offset, damage) == (1, [0, 1, 2, 3, 4, 5], 6, None)


def test_records_before_the_first_wanted_offset_are_left_out():
    items, _ = decode_blob(blob(batch(0) + batch(2), from_offset=3), "t", 0, OPTIONS)

    assert offsets(items) == [3]


@pytest.mark.parametrize("rotten", [0, 1, 2])
def test_batches_before_a_rotten_one_are_kept(rotten: int):
    batches = [bytearray(batch(2 * number)) for number in range(3)]
    batches[rotten][-1] ^= 1

    items, damage = decode_blob(blob(b"".join(batches)), "t", 0, OPTIONS)

    assert offsets(items) == list(range(2 * rotten))
    assert damage is not None
    assert f"{2 * rotten}" in str(damage)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 3))
def test_split_batches_cover_the_blob(counts: list[int], cut: int):
    batches, first = [], 0
    for count in counts:
        batches.append(batch(first, count))
        first += count
    whole = blob(b"".join(batches[:cut]), b"".join(batches[cut:]))

    parts = split_batches(whole)

    assert [bytes(part.data[0]) for part in parts] == batches
    assert [part.from_offset for part in parts[1:]] == [part.next_offset for part in parts[:-1]]
    assert parts[-1].next_offset == whole.next_offset
