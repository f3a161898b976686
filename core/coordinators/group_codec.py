"""Bytes of the records of __consumer_offsets: the same as Kafka writes and reads. Pure.

A key begins with its kind and a value with its version, two bytes each. Kinds that Kafka knows and this coordinator
does not (those of KIP-848 and share groups) are left alone, so that a log of Kafka's can be opened.
Source: GroupCoordinatorRecordHelpers of Kafka 4.3.1. Tested in tests/core/coordinators/test_group_codec.py.
"""

import struct

from ..errors import WireError
from ..wire.message import Message
from ..wire.messages.data_group_metadata_key import GroupMetadataKey
from ..wire.messages.data_group_metadata_value import GroupMetadataValue
from ..wire.messages.data_offset_commit_key import OffsetCommitKey
from ..wire.messages.data_offset_commit_value import OffsetCommitValue
from .group_records import GroupRecord, GroupRemoved, GroupStored, OffsetRemoved, OffsetStored, StoredMember

LEGACY_OFFSET_KEY = 0
OFFSET_KEY = 1
GROUP_KEY = 2
GROUP_VALUE_VERSION = 3
OFFSET_VALUE_VERSION = 4
EXPIRING_OFFSET_VALUE_VERSION = 1
"""The only version that has an expiry of its own, which clients older than OffsetCommit 5 may ask for."""

_NUMBER = struct.Struct(">h")


def encode_record(record: GroupRecord) -> tuple[bytes, bytes | None]:
    """Key and value as they stand in the log; no value is a tombstone."""
    match record:
        case GroupStored():
            return _group_key(record.group_id), _numbered(GROUP_VALUE_VERSION, _group_value(record))
        case GroupRemoved():
            return _group_key(record.group_id), None
        case OffsetStored():
            expiring = record.expires_ms >= 0
            version = EXPIRING_OFFSET_VALUE_VERSION if expiring else OFFSET_VALUE_VERSION
            return _offset_key(record), _numbered(version, _offset_value(record), version)
        case OffsetRemoved():
            return _offset_key(record), None


def decode_record(key: bytes, value: bytes | None) -> GroupRecord | None:
    """The record that these bytes are; None if it is of a kind that is not served. Raises WireError for other bytes."""
    kind = _number_of(key, "key")
    if kind in (OFFSET_KEY, LEGACY_OFFSET_KEY):
        offset_key, _ = OffsetCommitKey.decode(key, 0, 2)
        if value is None:
            return OffsetRemoved(offset_key.group, offset_key.topic, offset_key.partition)
        return _offset_record(offset_key, OffsetCommitValue.decode(value, _number_of(value, "value"), 2)[0])
    if kind == GROUP_KEY:
        group_key, _ = GroupMetadataKey.decode(key, 0, 2)
        if value is None:
            return GroupRemoved(group_key.group)
        return _group_record(group_key, GroupMetadataValue.decode(value, _number_of(value, "value"), 2)[0])
    return None


def _number_of(data: bytes, what: str) -> int:
    if len(data) < _NUMBER.size:
        raise WireError(f"record of __consumer_offsets: its {what} has {len(data)} bytes, at least 2 are needed")
    return int(_NUMBER.unpack_from(data)[0])


def _numbered(number: int, message: Message, version: int | None = None) -> bytes:
    return b"".join((_NUMBER.pack(number), *message.encode(number if version is None else version)))


def _group_key(group_id: str) -> bytes:
    return _numbered(GROUP_KEY, GroupMetadataKey(group=group_id), 0)


def _offset_key(record: OffsetStored | OffsetRemoved) -> bytes:
    key = OffsetCommitKey(group=record.group_id, topic=record.topic, partition=record.partition)
    return _numbered(OFFSET_KEY, key, 0)


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
