import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.consuming.fetch_state import Blob, FetchBuffer, Ready, whole_batches
from millstream.core.records import RECORDS_SCHEMA, Records, encode
from millstream.core.wire.batches import SimpleRecord, build_batch

KEY = ("t", 0)


def batch(first: int, count: int) -> bytes:
    return build_batch(
        [SimpleRecord(first + n, 5, None, b"v") for n in range(count)], base_offset=first, timestamp_ms=5
    )


def records(first: int, count: int, partition: int = 0) -> Records:
    rows = [{"offset": first + n, "timestamp": 5, "key": None, "value": b"v", "headers": []} for n in range(count)]
    return Records("t", partition, 0, pa.RecordBatch.from_pylist(rows, schema=RECORDS_SCHEMA))


def filled(*items: Ready) -> FetchBuffer:
    buffer = FetchBuffer(limit_bytes=1000, max_partition_bytes=100)
    buffer.add({KEY: 0})
    buffer.partitions[KEY].ready.extend(items)
    return buffer


@given(st.integers(0, 2), st.integers(0, 200))
def test_whole_batches_are_counted_and_the_cut_one_left_out(whole: int, cut: int):
    batches = [batch(0, 3), batch(3, 2)][:whole]
    tail = batch(5, 4)[: min(cut, len(batch(5, 4)) - 1)]

    size, next_offset = whole_batches([b"".join([*batches, tail])])

    assert size == sum(map(len, batches))
    assert next_offset == [None, 3, 5][whole]


def test_batches_may_come_in_several_buffers():
    parts = [memoryview(batch(0, 3)), memoryview(batch(3, 2))]

    assert whole_batches(parts) == (sum(map(len, parts)), 5)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_walked_to_an_end(data: bytes):
    size, _ = whole_batches([data])

    assert 0 <= size <= len(data)


@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_a_blob_knows_whether_it_is_compressed(codec: str):
    columns = pa.record_batch({"key": pa.nulls(1, pa.binary()), "value": pa.array([b"v"])})
    data = encode(columns, codec=codec, now_ms=1)[0].data

    assert Blob(0, (data,), len(data), 0, 1, ()).compressed is (codec != "none")


def test_the_position_moves_past_offsets_without_records():
    buffer = filled(Ready(records(0, 2), 5, 10), Ready(records(5, 0), 9, 10))

    taken = buffer.take(None, None)

    assert [part.num_rows for part in taken] == [2]
    assert buffer.partitions[KEY].position == 9


def test_max_records_cuts_a_batch_and_keeps_the_rest():
    buffer = filled(Ready(records(0, 5), 7, 100))

    first, second = buffer.take(None, 2), buffer.take(None, 10)

    assert ([part.first_offset for part in first], [part.first_offset for part in second]) == ([0], [2])
    assert buffer.partitions[KEY].position == 7


def test_max_bytes_stops_after_the_batch_that_reaches_it():
    buffer = filled(*(Ready(records(n, 1), n + 1, 100) for n in range(5)))

    assert len(buffer.take(150, None)) == 2


def test_partitions_take_turns_when_each_call_takes_little():
    buffer = FetchBuffer(limit_bytes=1000, max_partition_bytes=100)
    buffer.add({("t", 0): 0, ("t", 1): 0})
    for (_, number), state in buffer.partitions.items():
        state.ready.extend(Ready(records(n, 1, number), n + 1, 10) for n in range(2))

    assert [buffer.take(None, 1)[0].partition for _ in range(4)] == [0, 1, 0, 1]


def test_a_paused_partition_keeps_what_it_has():
    buffer = filled(Ready(records(0, 1), 1, 10))
    buffer.partitions[KEY].paused = True
    assert buffer.take(None, None) == []
    assert buffer.fetchable(0) == []

    buffer.partitions[KEY].paused = False
    assert len(buffer.take(None, None)) == 1


def test_a_seek_drops_what_was_fetched_and_makes_answers_on_their_way_stale():
    buffer = filled(Ready(records(0, 1), 1, 10))
    state = buffer.partitions[KEY]
    ticket = state.ticket

    state.seek(40)

    assert (state.position, state.fetch_offset, len(state.ready)) == (40, 40, 0)
    assert state.ticket != ticket


def test_nothing_is_fetched_while_the_buffer_is_full_but_paused_partitions_do_not_count():
    buffer = FetchBuffer(limit_bytes=100, max_partition_bytes=100)
    buffer.add({("t", 0): 0, ("t", 1): 0})
    buffer.partitions["t", 0].raw.append(Blob(0, (b"",), 100, 0, 1, ()))
    assert buffer.fetchable(0) == []

    buffer.partitions["t", 0].paused = True
    assert [state.partition for state in buffer.fetchable(0)] == [1]


def test_one_partition_cannot_fill_the_whole_buffer():
    buffer = FetchBuffer(limit_bytes=100, max_partition_bytes=100)
    buffer.add({("t", 0): 0, ("t", 1): 0})
    buffer.partitions["t", 0].raw.append(Blob(0, (b"",), 50, 0, 1, ()))

    assert [state.partition for state in buffer.fetchable(0)] == [1]
