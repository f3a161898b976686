"""What a client may append, and the error code for what it may not."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.broker.data_plane.batch_checks import RecordFaults, checked_batch, records_without_key
from millstream.core.config import LogConfig
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.batches import SimpleRecord, build_batch, read_header

NOW_MS = 1_700_000_000_000
ANY = LogConfig()


def batch(*keys: bytes | None, timestamp_ms: int = NOW_MS, **stamp: bool | int) -> bytearray:
    records = [SimpleRecord(0, timestamp_ms, key, b"value") for key in keys or (b"key",)]
    return bytearray(build_batch(records, timestamp_ms=timestamp_ms, **stamp))  # type: ignore[arg-type]


def patched(data: bytearray, layout: str, at: int, value: int) -> bytearray:
    """The batch with another value in its header, and a checksum that agrees."""
    from crc32c import crc32c

    struct.pack_into(layout, data, at, value)
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    return data


def code_of(data: bytearray | bytes, config: LogConfig = ANY, api_version: int = 9) -> ErrorCode:
    with pytest.raises(ProtocolError) as caught:
        checked_batch(data, config, api_version=api_version, now_ms=NOW_MS)
    return caught.value.code


def test_a_good_batch_gives_its_header() -> None:
    data = batch(b"a", b"b")

    assert checked_batch(data, ANY, api_version=9, now_ms=NOW_MS) == read_header(data)


def test_damage_is_corrupt_message() -> None:
    flipped = batch()
    flipped[-1] ^= 1

    assert code_of(flipped) is ErrorCode.CORRUPT_MESSAGE
    assert code_of(patched(batch(), ">b", 16, 3)) is ErrorCode.CORRUPT_MESSAGE
    assert code_of(batch() + bytes(12)) is ErrorCode.CORRUPT_MESSAGE


def test_a_batch_that_is_cut_off_is_none_and_does_no_harm_behind_another() -> None:
    data = batch()

    assert code_of(data[:-1]) is ErrorCode.INVALID_RECORD
    assert checked_batch(data + data[:-1], ANY, api_version=9, now_ms=NOW_MS).size_bytes == len(data)


def test_records_without_a_timestamp_are_never_too_old() -> None:
    config = LogConfig(message_timestamp_before_max_ms=1)

    assert checked_batch(batch(timestamp_ms=-1), config, api_version=9, now_ms=NOW_MS).count == 1


@pytest.mark.parametrize("data", [b"", bytes(60), batch() + batch(), batch(control=True, producer_id=1)])
def test_anything_but_exactly_one_batch_of_data_is_an_invalid_record(data: bytes) -> None:
    assert code_of(data) is ErrorCode.INVALID_RECORD


def test_an_old_magic_is_an_invalid_record() -> None:
    assert code_of(patched(batch(), ">b", 16, 1)) is ErrorCode.INVALID_RECORD


@pytest.mark.parametrize(("layout", "at", "value"), [(">i", 57, 0), (">i", 57, -1), (">i", 57, 2), (">i", 23, 5)])
def test_a_count_that_does_not_fit_the_offsets_is_an_invalid_record(layout: str, at: int, value: int) -> None:
    assert code_of(patched(batch(), layout, at, value)) is ErrorCode.INVALID_RECORD


def test_a_producer_needs_sequences_and_a_transaction_needs_a_producer() -> None:
    assert code_of(batch(producer_id=7, producer_epoch=0)) is ErrorCode.INVALID_RECORD
    assert code_of(batch(transactional=True)) is ErrorCode.INVALID_RECORD


def test_a_batch_above_the_topics_limit_is_too_large() -> None:
    assert code_of(batch(), LogConfig(max_message_bytes=60)) is ErrorCode.MESSAGE_TOO_LARGE


def test_zstd_needs_produce_7_and_unknown_codecs_are_refused() -> None:
    assert code_of(patched(batch(), ">h", 21, 4), api_version=6) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert code_of(patched(batch(), ">h", 21, 5)) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_records_too_far_ahead_are_named() -> None:
    with pytest.raises(RecordFaults) as caught:
        checked_batch(batch(b"a", timestamp_ms=NOW_MS + 3_600_001), ANY, api_version=9, now_ms=NOW_MS)

    assert caught.value.code is ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in caught.value.faults] == [0]


def test_records_too_old_are_refused_where_the_topic_says_so() -> None:
    old = batch(timestamp_ms=NOW_MS - 1001)

    assert checked_batch(old, ANY, api_version=9, now_ms=NOW_MS).count == 1
    assert code_of(old, LogConfig(message_timestamp_before_max_ms=1000)) is ErrorCode.INVALID_TIMESTAMP


def test_the_brokers_clock_makes_any_timestamp_good() -> None:
    config = LogConfig(message_timestamp_type="LogAppendTime")

    assert checked_batch(batch(timestamp_ms=NOW_MS * 2), config, api_version=9, now_ms=NOW_MS).count == 1


def test_a_compacted_topic_refuses_records_without_a_key_and_names_them() -> None:
    config = LogConfig(cleanup_policy=("compact",))

    with pytest.raises(RecordFaults) as caught:
        checked_batch(batch(b"a", None, b"c", None), config, api_version=9, now_ms=NOW_MS)

    assert caught.value.code is ErrorCode.INVALID_RECORD
    assert [index for index, _ in caught.value.faults] == [1, 3]


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_keys_are_looked_at_in_batches_of_every_codec(codec: int) -> None:
    import cramjam

    plain = batch(b"a", None, b"c" * 300, None)
    body = bytes(plain[61:])
    packed = {
        0: lambda: body,
        1: lambda: cramjam.gzip.compress(body),
        2: lambda: cramjam.snappy.compress_raw(body),
        3: lambda: cramjam.lz4.compress(body),
        4: lambda: cramjam.zstd.compress(body),
    }[codec]()
    data = bytearray(plain[:61]) + bytes(packed)
    struct.pack_into(">i", data, 8, len(data) - 12)

    header = checked_batch(patched(data, ">h", 21, codec), ANY, api_version=9, now_ms=NOW_MS)

    assert records_without_key(data, header) == [1, 3]


@given(st.lists(st.tuples(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=200)), min_size=1))
def test_records_without_a_key_are_found_wherever_they_are(pairs: list[tuple[bytes | None, bytes | None]]) -> None:
    records = [SimpleRecord(0, 1 << (index % 40), *pair) for index, pair in enumerate(pairs)]
    data = build_batch(records, timestamp_ms=0)

    assert records_without_key(data, read_header(data)) == [i for i, (key, _) in enumerate(pairs) if key is None]


@given(st.binary(max_size=60), st.integers(1, 50))
def test_bytes_that_are_no_records_are_corrupt_or_harmless(body: bytes, count: int) -> None:
    data = batch()[:61] + body
    struct.pack_into(">i", data, 8, len(data) - 12)
    struct.pack_into(">i", data, 57, count)

    codes: set[ErrorCode] = set()
    found: list[int] = []
    try:
        found = records_without_key(data, read_header(data))
    except ProtocolError as error:
        codes.add(error.code)

    assert codes <= {ErrorCode.CORRUPT_MESSAGE}
    assert all(0 <= index < count for index in found)


def test_a_number_that_never_ends_is_refused_at_its_sixth_byte() -> None:
    """Read on, each byte would take longer than the one before: a megabyte took a minute of the event loop."""
    data = batch()
    data[61:] = b"\xff" * 900_000
    struct.pack_into(">i", data, 8, len(data) - 12)
    patched(data, ">i", 57, 1)

    assert code_of(data, LogConfig(cleanup_policy=("compact",))) is ErrorCode.CORRUPT_MESSAGE
    with pytest.raises(ProtocolError, match="more than 32 bits"):
        records_without_key(data, read_header(data))
