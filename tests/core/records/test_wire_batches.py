"""The columnar way and the broker's plain-Python way (core/wire/batches.py) read each other's batches."""

from core.records.strategies import rows
from core.records.test_encode import columns_of
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.records import ProducerStamp, Row, decode, encode
from millstream.core.wire.batches import (
    SimpleRecord,
    assign_log_append_time,
    assign_offset,
    build_batch,
    build_control_marker,
    check_batch,
    read_records,
)

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def as_row(record: SimpleRecord) -> Row:
    return Row(*record[:4], tuple(record.headers))


@settings(max_examples=some(100))
@given(rows(min_size=1), st.sampled_from(CODECS), st.integers(0, 2**50), st.booleans())
def test_a_batch_that_the_broker_stamped_reads_the_same_both_ways(
    batch: list[Row], codec: str, base_offset: int, log_append_time: bool
) -> None:
    stamp = ProducerStamp(5, 1, 17)
    [encoded] = encode(columns_of(batch), codec=codec, now_ms=0, producer=stamp)
    data = bytearray(encoded.data)
    assign_offset(data, base_offset, 3)
    if log_append_time:
        assign_log_append_time(data, 1_700_000_000_000)

    header = check_batch(data, 0)
    columnar = decode(data, topic="t", partition=0)

    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.count) == (5, 1, 17, len(batch))
    assert list(columnar.records.rows()) == [as_row(record) for record in read_records(data)]
    assert columnar.next_offset == header.next_offset
    assert columnar.records.leader_epoch == 3


@settings(max_examples=some(50))
@given(rows(min_size=1))
def test_a_batch_that_the_broker_built_is_read(batch: list[Row]) -> None:
    records = [SimpleRecord(*row) for row in batch]

    data = build_batch(records, timestamp_ms=7, base_offset=100)

    assert list(decode(data, topic="t", partition=0).records.rows()) == [
        as_row(record) for record in read_records(data)
    ]


def test_the_brokers_markers_end_an_aborted_transaction() -> None:
    def batch(offset: int) -> bytes:
        record = SimpleRecord(0, 1, None, b"x")
        return build_batch(
            [record],
            timestamp_ms=1,
            base_offset=offset,
            producer_id=9,
            producer_epoch=0,
            base_sequence=0,
            transactional=True,
        )

    abort = bytearray(build_control_marker(False, 9, 0, 0, 1))
    assign_offset(abort, 1, 0)
    blob = [batch(0), abort, batch(2)]

    result = decode(blob, topic="t", partition=0, aborted=[(9, 0)], read_committed=True)

    assert [row.offset for row in result.records.rows()] == [2]
