"""decode against the plain-Python twin, other clients' batches, and every way in which a batch can be damaged."""

import struct

import pytest
from core.records.strategies import rows
from core.records.twins import CODECS, batch_bytes, marker, read_batch, record_bytes, sealed, zigzag
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import CorruptRecords
from millstream.core.records import RECORDS_SCHEMA, Decoded, Row, decode

ROWS = [
    Row(7, 1000, b"k1", b"v1", ()),
    Row(8, 1001, None, b"v2", (("a", b"1"), ("a", None), ("", b""))),
    Row(12, 999, b"", None, ()),
]


def decoded(data: bytes, **options: object) -> Decoded:
    result = decode(data, topic="logs", partition=3, **options)  # type: ignore[arg-type]
    result.records.columns.validate(full=True)
    assert result.records.columns.schema == RECORDS_SCHEMA
    return result


def rows_of(data: bytes, **options: object) -> list[Row]:
    return list(decoded(data, **options).records.rows())


@settings(max_examples=some(200))
@given(st.lists(st.tuples(rows(min_size=1), st.integers(0, 4), st.booleans()), max_size=4), st.booleans())
def test_what_goes_in_comes_out_of_any_run_of_batches(
    batches: list[tuple[list[Row], int, bool]], as_list: bool
) -> None:
    blobs, expected, shift = [], [], 0
    for batch, codec, log_append_time in batches:
        moved = [row._replace(offset=row.offset + shift) for row in batch]
        blobs.append(batch_bytes(moved, codec=codec, attributes=8 if log_append_time else 0))
        expected.extend(read_batch(blobs[-1]))
        shift = moved[-1].offset + 1

    got = decode(blobs if as_list else b"".join(blobs), topic="logs", partition=0)

    got.records.columns.validate(full=True)
    assert list(got.records.rows()) == expected
    assert got.next_offset == shift


@pytest.mark.parametrize("codec", range(5), ids=CODECS)
def test_every_codec_gives_the_rows(codec: int) -> None:
    assert rows_of(batch_bytes(ROWS, codec=codec)) == ROWS


def test_batches_of_different_codecs_in_one_fetch_keep_their_order() -> None:
    batches = [[Row(index * 10 + at, at, b"k", bytes(50), ()) for at in range(5)] for index in range(10)]
    blob = b"".join(batch_bytes(batch, codec=index % 5) for index, batch in enumerate(batches))

    assert rows_of(blob) == [row for batch in batches for row in batch]


def test_log_append_time_is_the_batch_maximum_for_every_record() -> None:
    blob = batch_bytes(ROWS, attributes=8, max_timestamp=5000)

    assert [row.timestamp_ms for row in rows_of(blob)] == [5000, 5000, 5000]


def test_records_below_the_wanted_offset_are_left_out() -> None:
    result = decoded(batch_bytes(ROWS), from_offset=8)

    assert list(result.records.rows()) == ROWS[1:]
    assert result.next_offset == 13


def test_records_below_an_end_are_told_by_their_offsets_which_have_gaps() -> None:
    records = decoded(batch_bytes(ROWS)).records

    found = [list(records.before(end).rows()) for end in (0, 8, 12, 13, 99)]
    assert found == [[row for row in ROWS if row.offset < end] for end in (0, 8, 12, 13, 99)]
    assert records.before(0).before(5).num_rows == 0


def test_a_cut_off_last_batch_is_left_out() -> None:
    first, second = batch_bytes(ROWS), batch_bytes([Row(20, 1, None, b"x" * 100, ())])
    for kept in range(len(second)):
        result = decoded(first + second[:kept])
        assert (list(result.records.rows()), result.next_offset) == (ROWS, 13)


def test_nothing_whole_leaves_the_position_where_it_was() -> None:
    result = decoded(batch_bytes(ROWS)[:-1], from_offset=9)

    assert (result.records.num_rows, result.next_offset, result.records.leader_epoch) == (0, 9, -1)


def test_an_empty_batch_of_a_compacted_topic_is_passed() -> None:
    result = decoded(batch_bytes([], base_offset=10, last_offset=19, leader_epoch=4))

    assert (result.records.num_rows, result.next_offset, result.records.leader_epoch) == (0, 20, 4)


def test_the_next_offset_passes_records_compacted_away_at_the_end_of_a_batch() -> None:
    assert decoded(batch_bytes(ROWS, last_offset=99)).next_offset == 100


def test_control_batches_are_left_out_and_passed() -> None:
    result = decoded(batch_bytes(ROWS) + marker(13, 5, commit=True))

    assert (list(result.records.rows()), result.next_offset) == (ROWS, 14)


def transactional(offset: int, producer_id: int) -> bytes:
    return batch_bytes([Row(offset, 1, None, b"%d" % producer_id, ())], attributes=0x10, producer_id=producer_id)


def test_read_committed_leaves_out_aborted_transactions_only() -> None:
    blob = b"".join(
        [
            transactional(0, 1),
            transactional(1, 2),
            batch_bytes([Row(2, 1, None, b"plain", ())]),
            marker(3, 1, commit=False),
            transactional(4, 1),
            marker(5, 2, commit=True),
            transactional(6, 2),
            marker(7, 1, commit=True),
            marker(8, 2, commit=False),
        ]
    )
    aborted = [(2, 6), (1, 0)]

    assert [row.offset for row in rows_of(blob, aborted=aborted, read_committed=True)] == [1, 2, 4]
    assert [row.offset for row in rows_of(blob, aborted=aborted)] == [0, 1, 2, 4, 6]


def test_an_aborted_transaction_that_began_before_the_fetch_is_left_out() -> None:
    blob = transactional(50, 1) + marker(51, 1, commit=False) + transactional(52, 1)

    assert [row.offset for row in rows_of(blob, aborted=[(1, 3)], read_committed=True)] == [52]


def test_a_fetch_that_decompresses_to_more_than_the_limit_comes_in_parts() -> None:
    batches = [[Row(offset, 1, None, bytes(1000), ())] for offset in range(10)]
    blob = b"".join(batch_bytes(batch, codec=4) for batch in batches)

    position, parts = 0, []
    while position < 10:
        result = decoded(blob, from_offset=position, max_decompressed_bytes=3500)
        parts.append([row.offset for row in result.records.rows()])
        position = result.next_offset

    assert parts == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_batch_that_decompresses_to_more_than_the_limit_is_refused(codec: int) -> None:
    blob = batch_bytes([Row(3, 1, None, bytes(5_000_000), ())], codec=codec)

    with pytest.raises(CorruptRecords, match=r"logs-3: batch with base offset 3 .*more than 1000000 bytes"):
        decoded(blob, max_decompressed_bytes=1_000_000)


def test_xerial_streams_that_were_joined_are_read() -> None:
    from millstream.core.records.codecs import compress

    body = b"".join(record_bytes(row, 7, 1000) for row in ROWS)
    joined = b"".join(bytes(compress(2, memoryview(part), None)) for part in (body[:5], body[5:]))
    plain = batch_bytes(ROWS, codec=2)

    assert rows_of(sealed(7, 0, plain[21:61] + joined)) == ROWS


def test_header_keys_that_are_not_utf8_are_replaced_as_java_does() -> None:
    body = b"\0\0\0" + zigzag(-1) + zigzag(-1) + zigzag(1) + zigzag(2) + b"\xffa" + zigzag(-1)
    header = struct.pack(">hiqqqhii", 0, 0, 5, 5, -1, -1, -1, 1)

    assert rows_of(sealed(0, 0, header + zigzag(len(body)) + body)) == [Row(0, 5, None, None, (("�a", None),))]


# --- damage -------------------------------------------------------------------------------------------------------


def one_record(body: bytes, *, count: int = 1, last_delta: int = 0, base_timestamp: int = 0) -> bytes:
    header = struct.pack(">hiqqqhii", 0, last_delta, base_timestamp, 0, -1, -1, -1, count)
    return sealed(42, 0, header + body)


def with_length(body: bytes) -> bytes:
    return zigzag(len(body)) + body


HUGE = zigzag(2**31 - 1)
NULL = zigzag(-1)
DAMAGED_RECORDS = {
    "length past the batch": (one_record(zigzag(100) + bytes(20)), "record 0: its length"),
    "negative length": (one_record(zigzag(-5) + bytes(20)), "record 0: its length"),
    "length too small": (one_record(zigzag(5) + bytes(20)), "record 0: its length"),
    "length of six bytes": (one_record(b"\x80\x80\x80\x80\x80\x00" + bytes(20)), "record 0: its length"),
    "timestamp of eleven bytes": (one_record(with_length(b"\0" + b"\x80" * 10 + bytes(20))), "timestamp delta"),
    "timestamp overflow": (
        one_record(with_length(b"\0" + zigzag(2**63 - 1) + bytes(9)), base_timestamp=5),
        "timestamp delta",
    ),
    "timestamp cut off": (one_record(with_length(b"\0" + b"\x80" * 6)), "timestamp delta"),
    "negative offset": (one_record(with_length(b"\0\0" + zigzag(-1) + NULL + NULL + b"\0")), "offset delta"),
    "offset past the last": (one_record(with_length(b"\0\0" + zigzag(1) + NULL + NULL + b"\0")), "offset delta"),
    "offset twice": (
        one_record(with_length(b"\0\0\0" + NULL + NULL + b"\0") * 2, count=2, last_delta=1),
        "record 1: its offset delta",
    ),
    "key past the record": (one_record(with_length(b"\0\0\0" + HUGE + NULL + b"\0" * 9)), "key length"),
    "key length below -1": (one_record(with_length(b"\0\0\0" + zigzag(-2) + NULL + b"\0" * 9)), "key length"),
    "value past the record": (one_record(with_length(b"\0\0\0" + NULL + zigzag(9) + b"\0" * 3)), "value length"),
    "value length below -1": (one_record(with_length(b"\0\0\0" + NULL + zigzag(-2**31) + b"\0" * 3)), "value length"),
    "negative header count": (one_record(with_length(b"\0\0\0" + NULL + NULL + NULL)), "header count"),
    "huge header count": (one_record(with_length(b"\0\0\0" + NULL + NULL + HUGE + bytes(9))), "header count"),
    "no header count": (one_record(with_length(b"\0\0\0" + NULL + zigzag(2) + b"ab")), "header count"),
    "null header key": (one_record(with_length(b"\0\0\0" + NULL + NULL + zigzag(1) + NULL + NULL)), "header's key"),
    "header key too long": (one_record(with_length(b"\0\0\0" + NULL + NULL + zigzag(1) + HUGE + NULL)), "header's key"),
    "header value too long": (one_record(with_length(b"\0\0\0" + NULL * 2 + zigzag(1) + b"\0" + HUGE)), "value length"),
    "bytes after the headers": (one_record(with_length(b"\0\0\0" + NULL + NULL + b"\0\0")), "do not fill"),
    "bytes after the records": (one_record(with_length(b"\0\0\0" + NULL + NULL + b"\0") + b"\0"), "left over"),
    "fewer records than declared": (
        one_record(with_length(b"\0\0\0" + NULL + zigzag(20) + bytes(21)), count=2, last_delta=1),
        "record 1: its length",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("blob", "text"), DAMAGED_RECORDS.values(), ids=DAMAGED_RECORDS.keys())
def test_a_damaged_record_is_named(blob: bytes, text: str) -> None:
    good = batch_bytes(ROWS)
    with pytest.raises(CorruptRecords, match=f"logs-3: batch with base offset 42 at byte {len(good)}: .*{text}"):
        decoded(good + blob)


def patched(at: int, layout: str, value: int) -> bytes:
    blob = bytearray(batch_bytes(ROWS))
    struct.pack_into(layout, blob, at, value)
    return bytes(blob)


DAMAGED_HEADERS = {
    "length": (patched(8, ">i", 48), "length 48 is smaller than a batch header"),
    "negative length": (patched(8, ">i", -1), "length -1 is smaller"),
    "magic": (patched(16, ">b", 1), "magic 1 is not 2"),
    "base offset": (patched(0, ">q", -7), "base offset -7 .* leaves the range of offsets"),
    "last base offset": (patched(0, ">q", 2**63 - 2), "leaves the range of offsets"),
    "last offset delta": (patched(23, ">i", -1), "leaves the range of offsets"),
    "count": (patched(57, ">i", -1), "-1 records do not fit its last offset delta"),
    "count above the delta": (patched(57, ">i", 7), "7 records do not fit its last offset delta 5"),
    "codec": (patched(21, ">h", 5), "codec 5 does not exist"),
    "gzip that is none": (patched(21, ">h", 1), "its gzip data cannot be read"),
    "snappy that is none": (patched(21, ">h", 2), "its snappy data"),
    "lz4 that is none": (patched(21, ">h", 3), "its lz4 data cannot be read"),
    "zstd that is none": (patched(21, ">h", 4), "its zstd data cannot be read"),
}


@pytest.mark.parametrize(("blob", "text"), DAMAGED_HEADERS.values(), ids=DAMAGED_HEADERS.keys())
def test_a_damaged_header_is_named(blob: bytes, text: str) -> None:
    with pytest.raises(CorruptRecords, match=text):
        decoded(blob, check_crc=False)


def test_more_records_than_the_bytes_allow_are_refused_before_memory_is_taken() -> None:
    blob = one_record(bytes(20), count=2**31 - 1, last_delta=2**31 - 1)
    packed = batch_bytes([Row(0, 1, None, bytes(100), ())], codec=4, last_offset=2**31 - 1)
    packed = sealed(0, 0, packed[21:57] + struct.pack(">i", 2**31 - 1) + packed[61:])

    for damaged in (blob, packed):
        with pytest.raises(CorruptRecords, match="2147483647 records do not fit into"):
            decoded(damaged)


def test_a_flipped_bit_fails_the_checksum() -> None:
    blob = bytearray(batch_bytes(ROWS))
    blob[-1] ^= 1

    with pytest.raises(
        CorruptRecords, match=r"base offset 7 at byte 0: its checksum is 0x[0-9a-f]{8}, the header says"
    ):
        decoded(bytes(blob))


def test_batches_out_of_order_are_refused() -> None:
    with pytest.raises(CorruptRecords, match="not above the last offset of the batch before it"):
        decoded(batch_bytes(ROWS) + batch_bytes(ROWS))


def test_a_control_batch_without_a_key_is_refused() -> None:
    blob = batch_bytes([Row(3, 1, None, b"", ())], attributes=0x30, producer_id=1)

    with pytest.raises(CorruptRecords, match="no key of 4 bytes"):
        decoded(blob, aborted=[(1, 0)], read_committed=True)
