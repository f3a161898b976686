"""Batches that aiokafka writes are read, and batches that we write are read by aiokafka and kafka-python."""

import random

import pyarrow as pa
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from core.records.test_encode import columns_of

from millstream.core.records import Row, decode, encode

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RANDOM = random.Random(1)
ROWS = [
    Row(
        index,
        1_700_000_000_000 + RANDOM.randrange(-5000, 5000),
        None if index % 5 == 0 else b"key-%d" % index,
        None if index % 7 == 0 else RANDOM.randbytes(10) * RANDOM.randrange(40),
        (("trace", b"%d" % index), ("empty", None)) if index % 3 == 0 else (),
    )
    for index in range(2000)
]


@pytest.mark.parametrize("codec", range(5), ids=CODECS)
def test_batches_of_aiokafka_are_read(codec: int) -> None:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 10**9)
    for row in ROWS:
        builder.append(row.offset, row.timestamp_ms, row.key, row.value, list(row.headers))

    assert list(decode(builder.build(), topic="t", partition=0).records.rows()) == ROWS


@pytest.mark.parametrize("codec", CODECS)
def test_our_batches_are_read_by_aiokafka(codec: str) -> None:
    [encoded] = encode(columns_of(ROWS), now_ms=0, codec=codec)

    batch = DefaultRecordBatch(bytes(encoded.data))

    assert batch.validate_crc()
    got = [Row(read.offset, read.timestamp, read.key, read.value, tuple(read.headers)) for read in batch]
    assert got == ROWS


@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated")
@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_our_batches_are_read_by_kafka_python(codec: str) -> None:
    from kafka.record.default_records import DefaultRecordBatch as KafkaPythonBatch

    encoded = encode(columns_of(ROWS), now_ms=0, codec=codec, max_batch_bytes=50_000)

    got = []
    for part in encoded:
        batch = KafkaPythonBatch(bytes(part.data))
        assert batch.validate_crc()
        got += [Row(part.first_row + read.offset, read.timestamp, read.key, read.value, ()) for read in batch]
    assert got == [row._replace(headers=()) for row in ROWS]


def test_read_back_from_arrow_slices() -> None:
    columns = columns_of(ROWS)
    parts = [columns.slice(start, 700) for start in range(0, 2000, 700)]

    got = [
        row for part in parts for row in decode(encode(part, now_ms=0)[0].data, topic="t", partition=0).records.rows()
    ]

    assert [row._replace(offset=0) for row in got] == [row._replace(offset=0) for row in ROWS]
    assert pa.Table.from_batches(parts).num_rows == len(got)
