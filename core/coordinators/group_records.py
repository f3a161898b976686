"""What the log __consumer_offsets says about groups: the hard state, one value per record. Pure.

Bytes of these records: group_codec.py. Source: GroupMetadataValue and OffsetCommitValue of Kafka 4.3.1.
Tested in tests/core/coordinators/test_group_codec.py.
"""

from dataclasses import dataclass

from ..wire.message import ZERO_UUID


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A member as it was when its generation's assignment was stored."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True)
class GroupStored:
    """A group has reached this generation; without members it is empty."""

    group_id: str
    generation: int
    protocol_type: str
    protocol: str | None
    leader: str | None
    state_changed_ms: int
    members: tuple[StoredMember, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupRemoved:
    """A group is gone."""

    group_id: str


@dataclass(frozen=True, slots=True)
class OffsetStored:
    """A group's offset in one partition: at once, or in a transaction, where it counts once that is committed."""

    group_id: str
    topic: str
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    committed_ms: int = 0
    expires_ms: int = -1
    topic_id: bytes = ZERO_UUID


@dataclass(frozen=True, slots=True)
class OffsetRemoved:
    """A group has no offset in this partition any more, nor one pending in a transaction."""

    group_id: str
    topic: str
    partition: int


GroupRecord = GroupStored | GroupRemoved | OffsetStored | OffsetRemoved
