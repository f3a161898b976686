"""Messages with their version in front: coordinator and metadata records, and group protocol metadata."""

import pytest

from millstream.core.errors import WireError
from millstream.core.wire.log_records import (
    decode_key,
    decode_metadata_record,
    decode_tolerant,
    decode_versioned,
    encode_key,
    encode_metadata_record,
    encode_versioned,
    metadata_record_type,
    record_type,
)
from millstream.core.wire.messages.data_consumer_protocol_subscription import ConsumerProtocolSubscription
from millstream.core.wire.messages.data_group_metadata_key import GroupMetadataKey
from millstream.core.wire.messages.data_offset_commit_key import OffsetCommitKey
from millstream.core.wire.messages.data_offset_commit_value import OffsetCommitValue
from millstream.core.wire.messages.data_topic_record import TopicRecord
from millstream.core.wire.messages.data_transaction_log_key import TransactionLogKey


def test_keys_begin_with_the_number_of_their_record_type() -> None:
    key = OffsetCommitKey(group="g", topic="logs", partition=3)

    data = encode_key(key)

    assert data == b"\x00\x01" + b"\x00\x01g" + b"\x00\x04logs" + b"\x00\x00\x00\x03"
    assert record_type(data) == 1
    assert decode_key(OffsetCommitKey, data) == key
    assert encode_key(GroupMetadataKey(group="g"))[:2] == b"\x00\x02"
    assert encode_key(TransactionLogKey(transactional_id="t")) == b"\x00\x00\x00\x01t"


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(WireError, match="record type 2 is no OffsetCommitKey, which has type 1"):
        decode_key(OffsetCommitKey, encode_key(GroupMetadataKey(group="g")))
    with pytest.raises(WireError, match="too few"):
        record_type(b"\x00")


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
def test_values_begin_with_their_version(version: int) -> None:
    value = OffsetCommitValue(offset=7, metadata="m", commit_timestamp=5)

    data = encode_versioned(value, version)

    assert data[:2] == version.to_bytes(2, "big")
    assert decode_versioned(OffsetCommitValue, data) == (value, version)


def test_a_value_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(WireError, match="OffsetCommitValue version 9 is not known"):
        decode_versioned(OffsetCommitValue, b"\x00\x09" + bytes(50))


def test_a_subscription_of_a_newer_version_is_read_as_far_as_it_is_known() -> None:
    known = ConsumerProtocolSubscription(topics=["a", "b"], rack_id="r")
    data = bytearray(encode_versioned(known, 3) + b"fields of a later version")
    data[1] = 9

    assert decode_tolerant(ConsumerProtocolSubscription, data) == (known, 9)
    with pytest.raises(WireError, match="older than 0"):
        decode_tolerant(ConsumerProtocolSubscription, b"\xff\xff" + bytes(20))


def test_metadata_records_have_frame_type_and_version_in_front() -> None:
    record = TopicRecord(name="logs", topic_id=bytes(range(16)))

    data = encode_metadata_record(record, 0)

    assert data == b"\x01\x02\x00" + b"\x05logs" + bytes(range(16)) + b"\x00"
    assert metadata_record_type(data) == (2, 0, 3)
    assert decode_metadata_record(TopicRecord, data) == record


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no whole header"),
        (b"\x01\x82", "no whole header"),
        (b"\x00\x02\x00", "frame of version 0"),
        (b"\x01\x03\x00", "type 3 is no TopicRecord"),
        (b"\x01\x02\x63" + bytes(20), "TopicRecord version 99 is not known"),
        (b"\x01\x02\x00\x02a" + bytes(18), "1 bytes follow a TopicRecord"),
    ],
)
def test_a_damaged_metadata_record_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text):
        decode_metadata_record(TopicRecord, data)
