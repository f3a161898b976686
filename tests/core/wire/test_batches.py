"""Record batches: against batches that Kafka wrote, in place changes, and every kind of damage."""

import gzip
import json
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import cramjam
import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import CorruptRecords
from millstream.core.wire.batches import (
    ABORT_MARKER,
    COMMIT_MARKER,
    HEADER_BYTES,
    SimpleRecord,
    assign_log_append_time,
    assign_offset,
    build_batch,
    build_control_marker,
    check_batch,
    iter_batches,
    marker_type,
    read_header,
    read_records,
)

GOLDENS = Path(__file__).with_name("goldens") / "batches.jsonl.gz"
KAFKAS = [json.loads(line) for line in gzip.decompress(GOLDENS.read_bytes()).decode().splitlines()]
HEADER_NAMES = [
    "base_offset",
    "last_offset",
    "leader_epoch",
    "codec",
    "is_transactional",
    "is_control",
    "is_log_append_time",
    "max_timestamp",
    "producer_id",
    "producer_epoch",
    "base_sequence",
    "last_sequence",
    "count",
    "crc",
]

texts = st.binary(max_size=20) | st.none()
headers = st.lists(st.tuples(st.text(max_size=5), texts), max_size=3).map(tuple)
records_of_a_batch = st.lists(
    st.builds(SimpleRecord, st.just(0), st.integers(0, 1 << 45), texts, texts, headers), min_size=1, max_size=8
)


def batch_of(*values: bytes, **settings: Any) -> bytes:
    records = [SimpleRecord(0, 1000 + at, None, value) for at, value in enumerate(values)]
    return build_batch(records, timestamp_ms=1000, **settings)


def sealed(batch: bytearray) -> bytes:
    """The batch with the length and checksum that fit its bytes."""
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    return bytes(batch)


@pytest.mark.parametrize("kafkas", KAFKAS, ids=lambda kafkas: kafkas["name"])
def test_a_batch_of_kafkas_is_read_as_kafka_reads_it(kafkas: dict[str, Any]) -> None:
    batch = bytes.fromhex(kafkas["hex"])

    header = check_batch(batch)
    records = read_records(batch)

    assert {name: getattr(header, name) for name in HEADER_NAMES} == {name: kafkas[name] for name in HEADER_NAMES}
    assert header.size_bytes == len(batch)
    assert header.next_offset == kafkas["last_offset"] + 1
    assert [as_json(record) for record in records] == kafkas["records"]
    if header.codec == "none" and not header.is_log_append_time and not header.is_control:
        assert rebuilt(records, header) == batch


def rebuilt(records: list[SimpleRecord], header: Any) -> bytes:
    return build_batch(
        records,
        timestamp_ms=0,
        base_offset=header.base_offset,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        transactional=header.is_transactional,
        leader_epoch=header.leader_epoch,
    )


def as_json(record: SimpleRecord) -> list[Any]:
    def text(data: bytes | None) -> str | None:
        return None if data is None else data.hex()

    named = [[name, text(value)] for name, value in record.headers]
    return [record.offset, record.timestamp_ms, text(record.key), text(record.value), named]


@pytest.mark.parametrize("kind", [COMMIT_MARKER, ABORT_MARKER])
def test_a_marker_is_byte_for_byte_that_of_kafka(kind: int) -> None:
    name = "marker COMMIT" if kind == COMMIT_MARKER else "marker ABORT"
    kafkas = next(bytes.fromhex(batch["hex"]) for batch in KAFKAS if batch["name"] == name)

    marker = bytearray(build_control_marker(kind == COMMIT_MARKER, 4242, 3, 17, 1_700_000_000_123))
    assign_offset(marker, 5, 9)

    assert marker == kafkas
    assert marker_type(read_records(marker)[0]) == kind


@given(records=records_of_a_batch, base_offset=st.integers(0, 1 << 60), producer_id=st.integers(-1, 1 << 60))
def test_records_come_back_as_they_were_built(records: list[SimpleRecord], base_offset: int, producer_id: int) -> None:
    batch = build_batch(records, timestamp_ms=5, base_offset=base_offset, producer_id=producer_id)

    header = check_batch(batch)

    assert read_records(batch) == [record._replace(offset=base_offset + at) for at, record in enumerate(records)]
    assert header.max_timestamp == max(record.timestamp_ms for record in records)
    assert (header.count, header.last_offset, header.producer_id) == (
        len(records),
        base_offset + len(records) - 1,
        producer_id,
    )


def test_a_record_without_a_time_gets_that_of_the_batch() -> None:
    batch = build_batch([SimpleRecord(0, -1, b"k", None)], timestamp_ms=1234)

    assert read_records(batch) == [SimpleRecord(0, 1234, b"k", None)]


@pytest.mark.parametrize("make", [bytearray, lambda data: memoryview(bytearray(data))])
def test_offset_and_epoch_are_assigned_in_place_and_the_checksum_holds(make: Any) -> None:
    data = make(batch_of(b"a") + batch_of(b"b", b"c"))
    second = len(batch_of(b"a"))

    assign_offset(data, 700, 4, at=second)

    header = check_batch(data, second)
    assert (header.base_offset, header.leader_epoch, header.last_offset) == (700, 4, 701)
    assert check_batch(data).base_offset == 0


@pytest.mark.parametrize("make", [bytearray, lambda data: memoryview(bytearray(data))])
def test_log_append_time_becomes_the_time_of_every_record(make: Any) -> None:
    data = make(b"before" + batch_of(b"a", b"b") + b"after")

    assign_log_append_time(data, 9999, at=6)

    header = check_batch(data, 6)
    assert (header.is_log_append_time, header.max_timestamp, header.base_timestamp) == (True, 9999, 1000)
    assert [record.timestamp_ms for record in read_records(data, 6)] == [9999, 9999]
    assert bytes(data[:6]) + bytes(data[-5:]) == b"beforeafter"


def test_a_bytearray_can_grow_after_its_batches_were_read_and_stamped() -> None:
    """A view that is kept alive would lock the size of the array."""
    data = bytearray(batch_of(b"a"))

    assign_log_append_time(data, 5)
    check_batch(data)
    read_records(data)
    list(iter_batches(data))

    data += b"more"
    assert len(data) == len(batch_of(b"a")) + 4


def test_whole_batches_are_found_and_a_last_one_that_is_cut_off_is_left_out() -> None:
    first, second = batch_of(b"a"), batch_of(b"b", b"c", base_offset=1)

    for cut in range(len(second)):
        assert list(iter_batches(first + second[:cut])) == [read_header(first)]
    assert list(iter_batches(memoryview(first + second))) == [read_header(first), read_header(second)]
    assert list(iter_batches(b"xyz" + first, 3)) == [read_header(first)]
    assert list(iter_batches(b"")) == []


@pytest.mark.parametrize("length", [48, 0, -1, -(1 << 31)])
def test_a_batch_with_an_impossible_length_is_refused(length: int) -> None:
    batch = bytearray(batch_of(b"a") * 2)
    struct.pack_into(">i", batch, 8, length)

    with pytest.raises(CorruptRecords, match=f"byte 0 has length {length}"):
        check_batch(batch)
    with pytest.raises(CorruptRecords, match=f"byte 0 has length {length}"):
        list(iter_batches(batch))


def test_a_batch_longer_than_what_is_there_is_refused() -> None:
    batch = batch_of(b"a value")

    with pytest.raises(CorruptRecords, match="too short for its header"):
        check_batch(batch[:60])
    with pytest.raises(CorruptRecords, match="byte 0 has length"):
        check_batch(batch[:-1])
    with pytest.raises(CorruptRecords, match="byte 0 has length"):
        read_records(batch[:-1])


def test_a_batch_of_an_older_format_is_refused() -> None:
    batch = bytearray(batch_of(b"a"))
    batch[16] = 1

    with pytest.raises(CorruptRecords, match="magic 1; only 2 is known"):
        check_batch(batch)
    with pytest.raises(CorruptRecords, match="magic 1; only 2 is known"):
        list(iter_batches(batch))


def test_every_single_changed_bit_under_the_checksum_is_found() -> None:
    batch = batch_of(b"a value", b"another", producer_id=5, producer_epoch=1, base_sequence=0)
    for at in range(17, len(batch)):
        for bit in range(8):
            changed = bytearray(batch)
            changed[at] ^= 1 << bit
            with pytest.raises(CorruptRecords, match="checksum"):
                check_batch(changed)


def test_the_last_sequence_wraps_as_in_kafka() -> None:
    header = read_header(batch_of(b"a", b"b", b"c", producer_id=1, producer_epoch=0, base_sequence=0x7FFFFFFE))

    assert header.last_sequence == 0
    assert read_header(batch_of(b"a", b"b")).last_sequence == -1


@settings(max_examples=some(300))
@given(data=st.data())
def test_damaged_records_are_read_or_refused(data: st.DataObject) -> None:
    kafkas = data.draw(st.sampled_from([batch for batch in KAFKAS if batch["count"] < 10]))
    batch = bytearray.fromhex(kafkas["hex"])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(21, len(batch) - 1))
        batch[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    if len(batch) < HEADER_BYTES:
        return

    try:
        read_records(sealed(batch), max_decompressed_bytes=1 << 20)
    except CorruptRecords:
        return


@pytest.mark.parametrize("count", [0x7FFFFFFF, -1, 3])
def test_a_count_that_the_bytes_cannot_hold_is_refused(count: int) -> None:
    batch = bytearray(batch_of(b"", b""))
    struct.pack_into(">i", batch, 57, count)

    with pytest.raises(CorruptRecords):
        read_records(sealed(batch))


def test_bytes_after_the_last_record_are_refused() -> None:
    with pytest.raises(CorruptRecords, match="2 bytes follow the 1 records"):
        read_records(sealed(bytearray(batch_of(b"a") + b"zz")))


def with_codec(codec: int, compressed: bytes) -> bytes:
    batch = bytearray(batch_of(b"x")[:HEADER_BYTES] + compressed)
    batch[22] = codec
    return sealed(batch)


@pytest.mark.parametrize(
    ("codec", "compress"),
    [
        (1, cramjam.gzip.compress),
        (2, cramjam.snappy.compress_raw),
        (3, cramjam.lz4.compress),
        (4, cramjam.zstd.compress),
    ],
)
def test_a_small_batch_that_decompresses_to_too_much_is_refused_and_takes_no_memory(codec: int, compress: Any) -> None:
    bomb = with_codec(codec, bytes(compress(bytes(30_000_000))))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecords, match="more than 1000000 bytes"):
            read_records(bomb, max_decompressed_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 9_000_000
    finally:
        tracemalloc.stop()


def test_a_snappy_block_without_framing_is_read_too() -> None:
    plain = batch_of(b"x")[HEADER_BYTES:]

    assert read_records(with_codec(2, bytes(cramjam.snappy.compress_raw(plain)))) == [SimpleRecord(0, 1000, None, b"x")]


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_a_codec_that_does_not_exist_is_refused(codec: int) -> None:
    batch = with_codec(codec, b"whatever")

    assert check_batch(batch).codec == f"codec {codec}"
    with pytest.raises(CorruptRecords, match=f"unknown codec {codec}"):
        read_records(batch)


def test_the_module_loads_no_codec_library_until_one_is_needed() -> None:
    code = "import sys, millstream.core.wire.batches; print({'cramjam', 'numpy', 'pyarrow'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
