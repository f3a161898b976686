import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.producing.partitioning import split
from millstream.core.errors import PlanError


def columns(keys: list[bytes | None]) -> pa.RecordBatch:
    return pa.record_batch({"key": pa.array(keys, pa.binary()), "value": pa.array(range(len(keys))).cast(pa.string())})


def test_rows_without_a_key_go_together():
    (part,) = split(columns([None, None]), None, partition_count=4, keyless_partition=3)

    assert (part.partition, part.rows, part.columns.num_rows) == (3, None, 2)


def test_a_batch_without_a_key_column_goes_together():
    (part,) = split(pa.record_batch({"value": pa.array([b"v"])}), None, partition_count=4, keyless_partition=2)

    assert part.partition == 2


@given(st.lists(st.one_of(st.none(), st.binary(max_size=6)), min_size=1, max_size=60), st.integers(1, 5))
def test_each_row_goes_to_one_partition_in_order_and_equal_keys_to_the_same(keys: list[bytes | None], count: int):
    parts = split(columns(keys), None, partition_count=count, keyless_partition=count - 1)

    rows = [row for part in parts for row in (range(len(keys)) if part.rows is None else part.rows.tolist())]
    assert sorted(rows) == list(range(len(keys)))
    home: dict[bytes | None, int] = {None: count - 1}
    for part in parts:
        numbers = list(range(len(keys))) if part.rows is None else part.rows.tolist()
        assert numbers == sorted(numbers)
        assert part.columns.column(1).to_pylist() == [str(number) for number in numbers]
        for number in numbers:
            assert home.setdefault(keys[number], part.partition) == part.partition


@pytest.mark.parametrize(
    ("key", "hashed"),  # From the tests of Kafka's own Utils.murmur2.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_a_key_goes_where_kafkas_partitioner_sends_it(key: bytes, hashed: int):
    (part,) = split(columns([key]), None, partition_count=1009, keyless_partition=0)

    assert part.partition == (hashed & 0x7FFFFFFF) % 1009


@pytest.mark.parametrize("partition", [2, -1, np.array([0, 2]), np.array([-1, 0])])
def test_a_partition_that_does_not_exist_is_named(partition: object):
    with pytest.raises(PlanError, match="does not exist: the topic has partitions 0 to 1"):
        split(columns([None, None]), partition, partition_count=2, keyless_partition=0)


def test_an_array_of_another_length_is_refused():
    with pytest.raises(PlanError, match="there are 2 rows"):
        split(columns([None, None]), np.array([0]), partition_count=2, keyless_partition=0)
