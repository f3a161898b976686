"""Records of __consumer_offsets are the bytes that Kafka writes."""

import struct

import pytest

from millstream.core.coordinators.group_codec import decode_record, encode_record
from millstream.core.coordinators.group_records import (
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetRemoved,
    OffsetStored,
    StoredMember,
)
from millstream.core.errors import WireError

TOPIC_ID = bytes(range(16))
MEMBER = StoredMember("c-1", None, "c", "/10.0.0.1", 60_000, 10_000, b"wants", b"has")
STATIC_MEMBER = StoredMember("i-2", "i", "c", "/10.0.0.1", 60_000, 10_000, b"", b"")
RECORDS: list[GroupRecord] = [
    GroupStored("g", 3, "consumer", "range", "c-1", 1_700_000_000_000, (MEMBER, STATIC_MEMBER)),
    GroupStored("g", 4, "connect", None, None, -1),
    GroupRemoved("g"),
    OffsetStored("g", "logs", 7, 42, 5, "note", 1_700_000_000_000, -1, TOPIC_ID),
    OffsetStored("gruppe-ä", "logs", 7, 42),
    OffsetRemoved("g", "logs", 7),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: GroupRecord) -> None:
    assert decode_record(*encode_record(record)) == record


def test_an_offset_is_stored_in_version_4_with_the_topic_id_as_a_tagged_field() -> None:
    key, value = encode_record(OffsetStored("g", "logs", 7, 42, 5, "note", 99, -1, TOPIC_ID))

    assert key == b"\0\x01" + b"\0\x01g" + b"\0\x04logs" + struct.pack(">i", 7)
    assert (
        value == b"\0\x04" + struct.pack(">qi", 42, 5) + b"\x05note" + struct.pack(">q", 99) + b"\x01\0\x10" + TOPIC_ID
    )


def test_an_offset_with_an_expiry_of_its_own_is_stored_in_version_1_without_the_leader_epoch() -> None:
    record = OffsetStored("g", "logs", 7, 42, 5, "", 99, 1_099)

    key, value = encode_record(record)

    assert value == b"\0\x01" + struct.pack(">q", 42) + b"\0\0" + struct.pack(">qq", 99, 1_099)
    assert decode_record(key, value) == OffsetStored("g", "logs", 7, 42, -1, "", 99, 1_099)


def test_a_group_is_stored_in_version_3() -> None:
    key, value = encode_record(GroupStored("g", 4, "connect", None, None, 99))

    assert key == b"\0\x02" + b"\0\x01g"
    assert value == b"\0\x03" + b"\0\x07connect" + struct.pack(">ihhqi", 4, -1, -1, 99, 0)


def test_an_offset_key_of_the_oldest_kind_is_read_as_one_of_today() -> None:
    key = b"\0\0" + b"\0\x01g" + b"\0\x04logs" + struct.pack(">i", 7)
    value = b"\0\0" + struct.pack(">q", 42) + b"\0\x04note" + struct.pack(">q", 99)

    assert decode_record(key, value) == OffsetStored("g", "logs", 7, 42, -1, "note", 99)


def test_a_member_stored_without_a_rebalance_timeout_has_its_session_timeout_for_one() -> None:
    text = b"\0\x01c"
    member = text * 3 + struct.pack(">i", 10_000) + struct.pack(">i", 0) * 2
    value = b"\0\0" + text + struct.pack(">i", 1) + text * 2 + struct.pack(">i", 1) + member

    record = decode_record(b"\0\x02\0\x01g", value)

    assert record == GroupStored(
        "g", 1, "c", "c", "c", -1, (StoredMember("c", None, "c", "c", 10_000, 10_000, b"", b""),)
    )


@pytest.mark.parametrize("kind", [3, 9, 20])
def test_records_of_other_group_protocols_are_left_alone(kind: int) -> None:
    assert decode_record(struct.pack(">h", kind) + b"whatever", b"\0\0") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", None),
        (b"\0", None),
        (b"\0\x01\0\x09g", None),
        (b"\0\x02\0\x01g", b"\0\x63"),
        (b"\0\x02\0\x01g", b""),
    ],
)
def test_bytes_that_are_no_record_are_refused(key: bytes, value: bytes | None) -> None:
    with pytest.raises(WireError):
        decode_record(key, value)
