"""encode against the plain-Python twin, its splitting and stamping, and the partitioner."""

import struct

import pyarrow as pa
import pytest
from core.records.strategies import rows
from core.records.twins import CODECS, batch_bytes, murmur2, read_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import ConfigError, PlanError
from millstream.core.records import RECORDS_SCHEMA, ProducerStamp, Row, decode, encode, murmur2_partitions

NOW_MS = 1_700_000_000_000


def columns_of(batch: list[Row]) -> pa.RecordBatch:
    entries = [[{"key": key, "value": value} for key, value in row.headers] for row in batch]
    timestamps = pa.array([row.timestamp_ms for row in batch], pa.int64()).view(pa.timestamp("ms"))
    arrays = [
        pa.array([row.offset for row in batch], pa.int64()),
        timestamps,
        pa.array([row.key for row in batch], pa.binary()),
        pa.array([row.value for row in batch], pa.binary()),
        pa.array(entries, RECORDS_SCHEMA.field("headers").type),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORDS_SCHEMA)


def without_offset(batch: list[Row]) -> list[Row]:
    return [row._replace(offset=0) for row in batch]


def header_of(data: bytes) -> dict[str, int]:
    names = "base_offset length epoch magic crc attributes last_delta base_timestamp max_timestamp producer_id"
    names += " producer_epoch sequence count"
    return dict(zip(names.split(), struct.unpack_from(">qiibIhiqqqhii", data), strict=True))


@settings(max_examples=some(200))
@given(rows(), st.sampled_from(CODECS), st.sampled_from([1, 150, 1000, 10**6]), st.integers(0, 5))
def test_batches_hold_the_rows_in_order(batch: list[Row], codec: str, max_batch_bytes: int, skipped: int) -> None:
    columns = columns_of(batch).slice(skipped)

    encoded = encode(columns, codec=codec, now_ms=NOW_MS, max_batch_bytes=max_batch_bytes)

    got = [row for part in encoded for row in read_batch(bytes(part.data))]
    assert without_offset(got) == without_offset(batch[skipped:])
    starts = [sum(part.count for part in encoded[:index]) for index in range(len(encoded))]
    assert [part.first_row for part in encoded] == starts


@settings(max_examples=some(100))
@given(rows(min_size=1))
def test_an_uncompressed_batch_is_byte_for_byte_the_twins(batch: list[Row]) -> None:
    numbered = [row._replace(offset=index) for index, row in enumerate(batch)]

    [encoded] = encode(columns_of(batch), now_ms=NOW_MS)

    assert bytes(encoded.data) == batch_bytes(numbered, leader_epoch=-1)


@settings(max_examples=some(50))
@given(rows(min_size=1), st.sampled_from(CODECS))
def test_decode_reads_what_encode_writes(batch: list[Row], codec: str) -> None:
    [encoded] = encode(columns_of(batch), codec=codec, now_ms=NOW_MS)

    got = list(decode(encoded.data, topic="t", partition=0).records.rows())

    assert got == [row._replace(offset=index) for index, row in enumerate(batch)]


def test_a_batch_never_passes_the_limit_unless_one_record_does() -> None:
    values = pa.array([bytes(size) for size in (10, 100, 500, 10, 10, 120, 10)], pa.binary())
    columns = pa.RecordBatch.from_pydict({"key": pa.nulls(7, pa.binary()), "value": values})

    encoded = encode(columns, now_ms=NOW_MS, max_batch_bytes=200)

    assert [(part.first_row, part.count, len(part.data)) for part in encoded] == [
        (0, 2, 61 + 17 + 109),
        (2, 1, 61 + 509),
        (3, 2, 61 + 17 * 2),
        (5, 1, 61 + 129),
        (6, 1, 61 + 17),
    ]


def test_sequences_go_on_from_batch_to_batch_and_wrap() -> None:
    columns = pa.RecordBatch.from_pydict({"key": pa.nulls(6), "value": pa.array([bytes(100)] * 6)})
    stamp = ProducerStamp(producer_id=7, epoch=3, base_sequence=2**31 - 3, transactional=True)

    encoded = encode(columns, now_ms=NOW_MS, producer=stamp, max_batch_bytes=300)

    headers = [header_of(bytes(part.data)) for part in encoded]
    assert [header["sequence"] for header in headers] == [2**31 - 3, 2**31 - 1, 1]
    assert {(header["producer_id"], header["producer_epoch"], header["attributes"]) for header in headers} == {
        (7, 3, 0x10)
    }


def test_without_a_producer_the_batch_says_so() -> None:
    [encoded] = encode(pa.RecordBatch.from_pydict({"key": ["a"], "value": ["b"]}), now_ms=5, codec="zstd")

    header = header_of(bytes(encoded.data))
    assert (header["producer_id"], header["producer_epoch"], header["sequence"]) == (-1, -1, -1)
    assert (header["attributes"], header["base_offset"], header["max_timestamp"]) == (4, 0, 5)


def test_a_missing_timestamp_is_now() -> None:
    columns = pa.RecordBatch.from_pydict(
        {"key": pa.nulls(2), "value": ["a", "b"], "timestamp": pa.array([None, 8], pa.timestamp("ms", tz="UTC"))}
    )

    [encoded] = encode(columns, now_ms=NOW_MS)

    assert [row.timestamp_ms for row in read_batch(bytes(encoded.data))] == [NOW_MS, 8]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.large_binary(), pa.string_view(), pa.binary_view(), pa.binary(3)]
)
def test_any_kind_of_bytes_is_taken(kind: pa.DataType) -> None:
    values = pa.array([b"abc", None, b"xyz"] if kind == pa.binary(3) else ["abc", None, "xyz"], kind)
    columns = pa.RecordBatch.from_arrays([values.dictionary_encode(), values], ["key", "value"])

    [encoded] = encode(columns.slice(1), now_ms=1)

    assert [(row.key, row.value) for row in read_batch(bytes(encoded.data))] == [(None, None), (b"xyz", b"xyz")]


def test_header_fields_go_by_their_names() -> None:
    headers = pa.array([[{"value": b"1", "key": "a"}]])
    columns = pa.RecordBatch.from_arrays([pa.array(["k"]), pa.array(["v"]), headers], ["key", "value", "headers"])

    [encoded] = encode(columns, now_ms=1)

    assert headers.type.value_type.field(0).name == "value"
    assert [row.headers for row in read_batch(bytes(encoded.data))] == [(("a", b"1"),)]


def test_a_header_without_a_key_that_a_slice_hides_does_not_matter() -> None:
    entries = [[{"key": None, "value": b"x"}], [{"key": "a", "value": b"1"}]]
    headers = pa.array(entries, RECORDS_SCHEMA.field("headers").type)
    columns = pa.RecordBatch.from_arrays(
        [pa.array(["k"] * 2), pa.array(["v"] * 2), headers], ["key", "value", "headers"]
    )

    [encoded] = encode(columns.slice(1), now_ms=1)

    assert [row.headers for row in read_batch(bytes(encoded.data))] == [(("a", b"1"),)]


def test_views_of_more_than_2_gib_are_refused() -> None:
    """Arrow casts them to binary with offsets that wrap, which the kernels would have followed."""
    text = b"x" * (1 << 20)
    views = struct.pack("<i4sii", len(text), text[:4], 0, 0) * 2049
    values = pa.Array.from_buffers(pa.string_view(), 2049, [None, pa.py_buffer(views), pa.py_buffer(text)])
    columns = pa.RecordBatch.from_arrays([pa.nulls(2049), values], ["key", "value"])

    with pytest.raises(PlanError, match="column value holds more than 2 GiB in one batch"):
        encode(columns, now_ms=1)
    [encoded] = encode(columns.slice(2047), now_ms=1, max_batch_bytes=1 << 30)
    assert [row.value for row in read_batch(bytes(encoded.data))] == [text] * 2


def test_no_rows_give_no_batch() -> None:
    assert encode(columns_of([]), now_ms=1) == []


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"value": ["a"]}, "records need a column key; there are value"),
        ({"key": [1], "value": ["a"]}, "column key has the type int64; binary or string is needed"),
        ({"key": ["a"], "value": ["a"], "timestamp": ["x"]}, "column timestamp has the type string"),
        ({"key": ["a"], "value": ["a"], "timestamp": [-2]}, "timestamp -2 ms; Kafka allows none before 1970"),
        ({"key": ["a"], "value": ["a"], "headers": ["x"]}, "column headers has the type string"),
        ({"key": ["a"], "value": ["a"], "headers": [[{"key": None, "value": b"x"}]]}, "a header has no key"),
        ({"key": ["a"], "value": ["a"], "headers": [[{"key": "x"}]]}, "its struct needs two fields"),
    ],
)
def test_columns_that_are_no_records_are_refused(columns: dict[str, list[object]], text: str) -> None:
    with pytest.raises(PlanError, match=text):
        encode(pa.RecordBatch.from_pydict(columns), now_ms=1)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"compression.type='brotli': must be one of none, gzip, snappy, lz4, zstd"):
        encode(columns_of([]), now_ms=1, codec="brotli")


@given(st.lists(st.none() | st.binary(max_size=30), max_size=50), st.integers(1, 1000), st.integers(0, 3))
def test_keys_go_where_kafkas_partitioner_sends_them(keys: list[bytes | None], partitions: int, skipped: int) -> None:
    got = murmur2_partitions(pa.array(keys, pa.binary()).slice(skipped), partitions)

    expected = [-1 if key is None else (murmur2(key) & 0x7FFFFFFF) % partitions for key in keys[skipped:]]
    assert got.tolist() == expected


def test_the_twin_of_the_partitioner_gives_the_hashes_that_kafka_documents() -> None:
    """Values from the tests of Kafka's Utils.murmur2, as signed integers there."""
    assert [murmur2(key) for key in (b"21", b"foobar", b"a-little-bit-long-string")] == [
        -973932308 & 0xFFFFFFFF,
        -790332482 & 0xFFFFFFFF,
        -985981536 & 0xFFFFFFFF,
    ]
