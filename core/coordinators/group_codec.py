"""Bytes of the records of __consumer_offsets: the same as Kafka writes and reads. Pure.

A key begins with its kind and a value with its version, two bytes each. Kinds that Kafka knows and this coordinator
does not (those of KIP-848 and share groups) are left alone, so that a log of Kafka's can be opened.
Source: GroupCoordinatorRecordHelpers of Kafka 4.3.1. Tested in tests/core/coordinators/test_group_codec.py.
"""

from ..wire.log_records import decode_key, decode_versioned, encode_key, encode_versioned, record_type
from ..wire.messages.data_group_metadata_key import GroupMetadataKey
from ..wire.messages.data_group_metadata_value import GroupMetadataValue
from ..wire.messages.data_offset_commit_key import OffsetCommitKey
from ..wire.messages.data_offset_commit_value import OffsetCommitValue
from .group_records import GroupRecord, GroupRemoved, GroupStored, OffsetRemoved, OffsetStored, StoredMember

LEGACY_OFFSET_KEY = bytes(2)
OFFSET_KEY = b"\0\1"
"""How keys of offsets begin: Kafka reads those of type 0, which it wrote long ago, as those of today."""
GROUP_VALUE_VERSION = 3
OFFSET_VALUE_VERSION = 4
EXPIRING_OFFSET_VALUE_VERSION = 1
"""The only version that has an expiry of its own, which clients older than OffsetCommit 5 may ask for."""


def encode_record(record: GroupRecord) -> tuple[bytes, bytes | None]:
    """Key and value as they stand in the log; no value is a tombstone."""
    match record:
        case GroupStored():
            return _group_key(record.group_id), encode_versioned(_group_value(record), GROUP_VALUE_VERSION)
        case GroupRemoved():
            return _group_key(record.group_id), None
        case OffsetStored():
            expiring = record.expires_ms >= 0
            version = EXPIRING_OFFSET_VALUE_VERSION if expiring else OFFSET_VALUE_VERSION
            return _offset_key(record), encode_versioned(_offset_value(record), version)
        case OffsetRemoved():
            return _offset_key(record), None


def decode_record(key: bytes, value: bytes | None) -> GroupRecord | None:
    """The record that these bytes are; None if it is of a kind that is not served. Raises WireError for other bytes."""
    if key.startswith(LEGACY_OFFSET_KEY):
        key = OFFSET_KEY + key[len(LEGACY_OFFSET_KEY) :]
    match record_type(key):
        case OffsetCommitKey.API_KEY:
            offset_key = decode_key(OffsetCommitKey, key)
            if value is None:
                return OffsetRemoved(offset_key.group, offset_key.topic, offset_key.partition)
            return _offset_record(offset_key, decode_versioned(OffsetCommitValue, value)[0])
        case GroupMetadataKey.API_KEY:
            group_key = decode_key(GroupMetadataKey, key)
            if value is None:
                return GroupRemoved(group_key.group)
            return _group_record(group_key, decode_versioned(GroupMetadataValue, value)[0])
    return None


def _group_key(group_id: str) -> bytes:
    return encode_key(GroupMetadataKey(group=group_id))


def _offset_key(record: OffsetStored | OffsetRemoved) -> bytes:
    return encode_key(OffsetCommitKey(group=record.group_id, topic=record.topic, partition=record.partition))


def _offset_value(record: OffsetStored) -> OffsetCommitValue:
    return OffsetCommitValue(
        offset=record.offset,
        leader_epoch=record.leader_epoch,
        metadata=record.metadata,
        commit_timestamp=record.committed_ms,
        expire_timestamp=record.expires_ms,
        topic_id=record.topic_id,
    )


def _offset_record(key: OffsetCommitKey, value: OffsetCommitValue) -> OffsetStored:
    return OffsetStored(
        group_id=key.group,
        topic=key.topic,
        partition=key.partition,
        offset=value.offset,
        leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        committed_ms=value.commit_timestamp,
        expires_ms=value.expire_timestamp,
        topic_id=value.topic_id,
    )


def _group_value(record: GroupStored) -> GroupMetadataValue:
    members = [
        GroupMetadataValue.MemberMetadata(
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout=member.rebalance_timeout_ms,
            session_timeout=member.session_timeout_ms,
            subscription=member.subscription,
            assignment=member.assignment,
        )
        for member in record.members
    ]
    return GroupMetadataValue(
        protocol_type=record.protocol_type,
        generation=record.generation,
        protocol=record.protocol,
        leader=record.leader,
        current_state_timestamp=record.state_changed_ms,
        members=members,
    )


def _group_record(key: GroupMetadataKey, value: GroupMetadataValue) -> GroupStored:
    members = tuple(
        StoredMember(
            member_id=member.member_id,
            instance_id=member.group_instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout_ms=member.session_timeout if member.rebalance_timeout < 0 else member.rebalance_timeout,
            session_timeout_ms=member.session_timeout,
            subscription=member.subscription,
            assignment=member.assignment,
        )
        for member in value.members
    )
    return GroupStored(
        group_id=key.group,
        generation=value.generation,
        protocol_type=value.protocol_type,
        protocol=value.protocol,
        leader=value.leader,
        state_changed_ms=value.current_state_timestamp,
        members=members,
    )
