"""What is asked of the group coordinator, and what it answers. Pure.

A JoinGroup or SyncGroup may have to wait for other members: its command carries a waiter, a number of the shell's, by
which a later decision releases it. Source: the group APIs of Kafka 4.3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from ..errors import ErrorCode
from ..wire.batches import NO_PRODUCER_ID
from ..wire.message import ZERO_UUID
from .group_records import GroupRecord


class TimerKind(StrEnum):
    SESSION = "session"
    """A member has not been heard of."""
    JOIN = "join"
    """A group has waited long enough for members to join."""
    SYNC = "sync"
    """A group has waited long enough for members to sync."""


class TimerKey(NamedTuple):
    """One timer of a group, or of a member of it."""

    kind: TimerKind
    group_id: str
    member_id: str = ""


class Timer(NamedTuple):
    """Set the timer to fire after this time, in place of what it was set to; None cancels it."""

    key: TimerKey
    after_ms: int | None


@dataclass(frozen=True, slots=True)
class JoinGroup:
    """`fresh_id` is a random text from which a member id is made if one is needed."""

    group_id: str
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    waiter: int
    fresh_id: str
    must_know_member_id: bool = True
    """Version 4 and newer: a new dynamic member first gets its id, then joins with it."""
    can_skip_assignment: bool = True
    """Version 9 and newer: a static leader that comes back may be told to leave the assignment as it is."""


class Assigned(Protocol):
    """What the leader gives to a member."""

    @property
    def member_id(self) -> str: ...
    @property
    def assignment(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SyncGroup:
    """The leader's one brings the assignments; protocol_type and protocol are checked where they are given.

    assignments: looked at while the command is decided, and not kept; there may be a million, most for nobody.
    """

    group_id: str
    generation: int
    member_id: str
    instance_id: str | None
    protocol_type: str | None
    protocol: str | None
    assignments: Sequence[Assigned]
    waiter: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    group_id: str
    generation: int
    member_id: str
    instance_id: str | None = None


class Leaver(NamedTuple):
    """Who leaves: a member, or, with an empty member id, whoever is this static instance."""

    member_id: str
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    group_id: str
    leavers: tuple[Leaver, ...]


class OffsetEntry(NamedTuple):
    """An offset to store for one partition."""

    topic: str
    partition: int
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    topic_id: bytes = ZERO_UUID


@dataclass(frozen=True, slots=True)
class CommitOffsets:
    """Generation -1 and an empty member id come from a consumer outside the group protocol or from an admin."""

    group_id: str
    generation: int
    member_id: str
    instance_id: str | None
    entries: tuple[OffsetEntry, ...]
    retention_ms: int = -1
    knows_group_not_found: bool = True
    """Version 9 and newer: an unknown group is answered GROUP_ID_NOT_FOUND instead of ILLEGAL_GENERATION."""
    producer_id: int = NO_PRODUCER_ID
    """Of the transaction that the offsets belong to."""

    @property
    def transactional(self) -> bool:
        return self.producer_id != NO_PRODUCER_ID


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    group_id: str


@dataclass(frozen=True, slots=True)
class DeleteOffsets:
    group_id: str
    partitions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ForgetTopic:
    """A topic is gone, and so are the offsets in it."""

    topic: str


@dataclass(frozen=True, slots=True)
class ExpireOffsets:
    """Remove what has outlived its retention in this group, and the group itself if it is empty then."""

    group_id: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    key: TimerKey


Command = (
    JoinGroup
    | SyncGroup
    | Heartbeat
    | LeaveGroup
    | CommitOffsets
    | DeleteGroup
    | DeleteOffsets
    | ForgetTopic
    | ExpireOffsets
    | TimerFired
)


class JoinedMember(NamedTuple):
    """What the leader is told about a member."""

    member_id: str
    instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True)
class JoinReply:
    error: ErrorCode = ErrorCode.NONE
    member_id: str = ""
    generation: int = -1
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    skip_assignment: bool = False
    members: tuple[JoinedMember, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncReply:
    error: ErrorCode = ErrorCode.NONE
    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The answer to a command that has one result."""

    error: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True)
class PartsReply:
    """The answer to a command of several parts: one for all of them, or a code for each in the order asked."""

    error: ErrorCode = ErrorCode.NONE
    parts: tuple[ErrorCode, ...] = ()


Reply = JoinReply | SyncReply | ErrorReply | PartsReply


def refusal(command: Command, error: ErrorCode) -> Reply:
    """The reply to a command that says no more than this error."""
    match command:
        case JoinGroup():
            return JoinReply(error, command.member_id)
        case SyncGroup():
            return SyncReply(error)
        case LeaveGroup() | CommitOffsets() | DeleteOffsets():
            return PartsReply(error)
        case _:
            return ErrorReply(error)


@dataclass(frozen=True, slots=True)
class Decision:
    """Append `records` and apply() them in order; once they are committed, answer. Timers are set at once.

    reply: to the command itself; None means that it waits. released: replies to those who waited.
    """

    records: tuple[GroupRecord, ...] = ()
    reply: Reply | None = None
    released: tuple[tuple[int, Reply], ...] = ()
    timers: tuple[Timer, ...] = ()


class MemberView(NamedTuple):
    """A member as DescribeGroups shows it."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as DescribeGroups and ListGroups show it."""

    group_id: str
    state: str
    protocol_type: str = ""
    protocol: str = ""
    generation: int = -1
    members: tuple[MemberView, ...] = ()
