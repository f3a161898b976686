"""The first record of a batch that is not older than a time: what decoding all of them finds."""

import cramjam
import pytest
from core.broker.mutations import resealed
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import CorruptRecords
from millstream.core.wire.batches import HEADER_BYTES, SimpleRecord, assign_log_append_time, build_batch, read_records
from millstream.core.wire.decompression import TooLarge
from millstream.core.wire.record_times import first_record_not_older

MOST_BYTES = 1 << 20
TIMES = st.integers(0, 2**41) | st.integers(1000, 1100)
RECORDS = st.lists(st.tuples(TIMES, st.none() | st.binary(max_size=200)), min_size=1, max_size=200)


def batch_of(records: list[tuple[int, bytes | None]], base_offset: int) -> bytes:
    simple = [SimpleRecord(0, time_ms, b"k", value) for time_ms, value in records]
    return build_batch(simple, timestamp_ms=0, base_offset=base_offset)


@given(RECORDS, st.integers(0, 2**40), TIMES, st.integers(-5, 205), st.booleans(), st.booleans())
def test_it_is_the_one_that_decoding_them_all_finds(
    records: list[tuple[int, bytes | None]], base_offset: int, time_ms: int, skipped: int, stamped: bool, packed: bool
) -> None:
    batch = bytearray(batch_of(records, base_offset))
    if packed:
        batch = bytearray(batch[:HEADER_BYTES] + bytes(cramjam.zstd.compress(batch[HEADER_BYTES:])))
        batch[22] |= 4
        batch = bytearray(resealed(bytes(batch)))
    if stamped:
        assign_log_append_time(batch, 1050)
    from_offset = base_offset + skipped

    found = first_record_not_older(bytes(batch), time_ms, from_offset, max_bytes=MOST_BYTES)

    fitting = (
        (record.offset, record.timestamp_ms)
        for record in read_records(bytes(batch))
        if record.timestamp_ms >= time_ms and record.offset >= from_offset
    )
    assert found == next(fitting, None)


def test_records_that_are_not_what_the_header_says_are_damage() -> None:
    batch = batch_of([(1000, b"v"), (1001, b"v")], 0)

    for wrong in (batch[:-20], batch[:HEADER_BYTES] + b"\x7f" + batch[HEADER_BYTES + 1 :], batch[:HEADER_BYTES]):
        with pytest.raises(CorruptRecords):
            first_record_not_older(wrong, 1002, 0, max_bytes=MOST_BYTES)
    endless = batch[:HEADER_BYTES] + b"\xff" * 30
    with pytest.raises(CorruptRecords, match="64 bits"):
        first_record_not_older(endless, 1002, 0, max_bytes=MOST_BYTES)


def test_more_than_may_be_made_of_a_batch_is_told_apart_from_damage() -> None:
    batch = bytearray(batch_of([(1000, b"v")], 0)[:HEADER_BYTES])
    batch[22] = 4
    bomb = resealed(bytes(batch) + bytes(cramjam.zstd.compress(bytes(MOST_BYTES + 1))))

    with pytest.raises(TooLarge):
        first_record_not_older(bomb, 1000, 0, max_bytes=MOST_BYTES)
