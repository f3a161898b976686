"""Committing, expiring and deleting offsets: who may, and what is written. Pure; reads the state, changes none of it.

Source: the behaviour of Kafka 4.3.1, KIP-211 (expiry), KIP-447 (fencing by group), KIP-496 (delete).
Tested in tests/core/coordinators/test_commits.py and test_offset_expiry.py.
"""

from collections.abc import Iterator, Mapping

from ..config import LONG_MAX
from ..errors import ErrorCode
from .classic_group import CONSUMER, ClassicGroup, Phase
from .group_commands import CommitOffsets, DeleteOffsets, OffsetEntry, PartsReply
from .group_config import GroupConfig
from .group_offsets import CommittedOffset, GroupOffsets, Partition
from .group_records import GroupRecord, GroupRemoved, OffsetRemoved, OffsetStored


def commit_fault(group: ClassicGroup | None, command: CommitOffsets) -> ErrorCode:
    """Why nothing of this commit is accepted; NONE if it may go on."""
    if group is None:
        if command.generation < 0:
            return ErrorCode.NONE
        knows = command.knows_group_not_found and not command.transactional
        return ErrorCode.GROUP_ID_NOT_FOUND if knows else ErrorCode.ILLEGAL_GENERATION
    if command.generation < 0 and group.phase is Phase.EMPTY:
        return ErrorCode.NONE
    if command.generation >= 0 or command.member_id or command.instance_id is not None:
        fault = group.fault_of(command.member_id, command.instance_id)
        if fault:
            return fault
        if command.generation != group.generation:
            return ErrorCode.ILLEGAL_GENERATION
    elif not command.transactional:
        return ErrorCode.UNKNOWN_MEMBER_ID
    # The member has this generation, and not yet what it is to read in it: it must sync first.
    if not command.transactional and group.phase is Phase.COMPLETING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def commit(command: CommitOffsets, now_ms: int, config: GroupConfig) -> tuple[list[GroupRecord], PartsReply]:
    """The records of a commit that has no fault, and its reply."""
    records: list[GroupRecord] = []
    errors = []
    for entry in command.entries:
        if len(entry.metadata) > config.offset_metadata_max_bytes:
            errors.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
        else:
            errors.append(ErrorCode.NONE)
            records.append(_stored(command, entry, now_ms))
    return records, PartsReply(parts=tuple(errors))


def _stored(command: CommitOffsets, entry: OffsetEntry, now_ms: int) -> OffsetStored:
    return OffsetStored(
        group_id=command.group_id,
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        leader_epoch=entry.leader_epoch,
        metadata=entry.metadata,
        committed_ms=now_ms,
        expires_ms=-1 if command.retention_ms < 0 else min(now_ms + command.retention_ms, LONG_MAX),
        topic_id=entry.topic_id,
    )


def delete_offsets(
    group: ClassicGroup | None, offsets: GroupOffsets, command: DeleteOffsets
) -> tuple[list[GroupRecord], PartsReply]:
    """Removes offsets, but not in topics that consumers of the group read now."""
    if group is None:
        return [], PartsReply(ErrorCode.GROUP_ID_NOT_FOUND)
    if group.phase is not Phase.EMPTY and group.protocol_type != CONSUMER:
        return [], PartsReply(ErrorCode.NON_EMPTY_GROUP)
    in_use = _topics_in_use(group, [topic for topic, _ in command.partitions])
    errors = tuple(
        ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if topic in in_use else ErrorCode.NONE for topic, _ in command.partitions
    )
    free = [where for where in dict.fromkeys(command.partitions) if where[0] not in in_use]
    return list(offsets.removals(command.group_id, free)), PartsReply(parts=errors)


def expire(group: ClassicGroup, offsets: GroupOffsets, now_ms: int, retention_ms: int) -> list[GroupRecord]:
    """The records that remove what has outlived its time, and the group once it is empty and has no offset left."""
    held = offsets.committed(group.group_id)
    records: list[GroupRecord] = [
        OffsetRemoved(group.group_id, *where)
        for where in _outlived(group, held, now_ms, retention_ms)
        if not offsets.unstable(group.group_id, where)
    ]
    nothing_left = len(records) == len(held) and not offsets.in_transaction(group.group_id)
    in_the_log = bool(records) or group.stored is not None
    if nothing_left and group.phase is Phase.EMPTY and not group.pending and in_the_log:
        records.append(GroupRemoved(group.group_id))
    return records


def _outlived(
    group: ClassicGroup, held: Mapping[Partition, CommittedOffset], now_ms: int, retention_ms: int
) -> Iterator[Partition]:
    """An empty group's offsets age together, from when it became empty; others each from its commit."""
    empty_since_ms = -1
    in_use: frozenset[str] | None = frozenset()
    if group.protocol_type and group.phase is Phase.EMPTY and group.stored is not None:
        empty_since_ms = group.stored.state_changed_ms
    elif group.phase is not Phase.EMPTY:
        in_use = group.subscribed_topics() if group.phase is Phase.STABLE else None
    if in_use is None:
        return
    for where, offset in held.items():
        since_ms = offset.committed_ms if empty_since_ms < 0 else empty_since_ms
        end_ms = since_ms + retention_ms if offset.expires_ms < 0 else offset.expires_ms
        if where[0] not in in_use and now_ms >= end_ms:
            yield where


def _topics_in_use(group: ClassicGroup, asked: list[str]) -> frozenset[str]:
    """Of the topics asked about, those whose offsets consumers need; all of them where that cannot be known."""
    if group.phase is Phase.EMPTY:
        return frozenset()
    subscribed = group.subscribed_topics()
    return frozenset(asked) if subscribed is None else subscribed
