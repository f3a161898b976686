"""One group of the classic protocol: its members now, and who of them waits. Pure.

What the log says of the group is `stored`, written by settle() only; everything else is soft state: it leads from one
stored generation to the next and is rebuilt from `stored` after a restart. Deciding: membership.py and rebalance.py.
Source: KIP-62, KIP-345, KIP-394 and the behaviour of Kafka 4.3.1. Tested in tests/core/coordinators/test_membership.py.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..errors import ErrorCode
from .group_commands import GroupView, JoinedMember, MemberView
from .group_records import GroupStored, StoredMember

CONSUMER = "consumer"
Protocols = tuple[tuple[str, bytes], ...]
"""Names and metadata, the most wanted first."""


class Phase(StrEnum):
    """Where a group is between two stored generations; values as DescribeGroups shows them."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(slots=True)
class Member:
    """A member of a group. `joining` and `syncing` are the waiters of its JoinGroup and SyncGroup.

    The group counts protocols and who joins: these change by ClassicGroup.joins() and has_joined() only.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    assignment: bytes = b""
    joining: int | None = None
    syncing: int | None = None
    is_new: bool = False
    """It has never been in a generation, and has no session yet."""

    def metadata(self, protocol: str | None) -> bytes:
        return next((metadata for name, metadata in self.protocols if name == protocol), b"")

    @property
    def excused(self) -> bool:
        """Whether it need not send heartbeats, as it waits for the group."""
        return not self.is_new and (self.joining is not None or self.syncing is not None)


@dataclass(slots=True)
class ClassicGroup:
    """The members of a group and its phase. `pending` have been given an id and have not joined with it yet."""

    group_id: str
    stored: GroupStored | None = None
    phase: Phase = Phase.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str | None = None
    leader: str | None = None
    members: dict[str, Member] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    """Member id of each static member, by its group.instance.id."""
    pending: dict[str, None] = field(default_factory=dict)
    unsynced: dict[str, None] = field(default_factory=dict)
    """Members of this generation that have not sent their SyncGroup."""
    initial_remaining_ms: int | None = None
    """In the first rebalance of an empty group: how much longer it may be put off for more members."""
    joined_meanwhile: bool = False
    joining_count: int = 0
    """Members whose JoinGroup waits."""
    _speakers: dict[str, int] = field(default_factory=dict)
    """Protocol -> how many members support it. Kept, as each of thousands of members that join asks for it."""

    @property
    def vacant(self) -> bool:
        """Whether nothing is known of it but, perhaps, offsets."""
        return self.stored is None and self.phase is Phase.EMPTY and not self.members and not self.pending

    @property
    def all_joined(self) -> bool:
        return not self.pending and self.joining_count == len(self.members)

    @property
    def rebalance_timeout_ms(self) -> int:
        """How long the group waits for its members; clients may ask for less than nothing."""
        return max((0, *(member.rebalance_timeout_ms for member in self.members.values())))

    def fault_of(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """Why this is no member of the group; NONE if it is one."""
        if instance_id is not None:
            current = self.instances.get(instance_id)
            if current is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if current != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def add(self, member: Member, protocol_type: str) -> None:
        if not self.members:
            self.protocol_type = protocol_type
        self.members[member.member_id] = member
        self._count(member, 1)
        self.pending.pop(member.member_id, None)
        if member.instance_id is not None:
            self.instances[member.instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id

    def remove(self, member_id: str) -> None:
        """Forgets a member or one that is pending; the next in line leads if it was the leader."""
        self.pending.pop(member_id, None)
        self.unsynced.pop(member_id, None)
        member = self.members.pop(member_id, None)
        if member is None:
            return
        self._count(member, -1)
        if member.instance_id is not None and self.instances.get(member.instance_id) == member_id:
            del self.instances[member.instance_id]
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)

    def replace_static(self, old: Member, new: Member) -> None:
        """Gives the place of a static member to a newer process of the same instance."""
        assert new.instance_id is not None
        self._count(old, -1)
        self._count(new, 1)
        self.members = {
            (new.member_id if member is old else member_id): (new if member is old else member)
            for member_id, member in self.members.items()
        }
        self.instances[new.instance_id] = new.member_id
        if self.unsynced.pop(old.member_id, "none") is None:
            self.unsynced[new.member_id] = None
        if self.leader == old.member_id:
            self.leader = new.member_id

    def joins(self, member: Member, waiter: int, protocols: Protocols) -> None:
        """The JoinGroup of a member waits, with the protocols that it names."""
        self._count(member, -1)
        member.joining, member.protocols = waiter, protocols
        self._count(member, 1)

    def has_joined(self, member: Member) -> None:
        """The JoinGroup of a member waits no more."""
        if member.joining is not None:
            member.joining = None
            self.joining_count -= 1

    def _count(self, member: Member, change: int) -> None:
        if member.joining is not None:
            self.joining_count += change
        for name in dict(member.protocols):  # Each once, even if a member names it twice.
            self._speakers[name] = self._speakers.get(name, 0) + change
            if not self._speakers[name]:
                del self._speakers[name]

    def supports(self, protocol_type: str, protocols: Protocols) -> bool:
        """Whether a member with these protocols can be in the group together with those that are."""
        if self.phase is Phase.EMPTY:
            return bool(protocol_type and protocols)
        if protocol_type != self.protocol_type:
            return False
        return any(self._speakers.get(name, 0) == len(self.members) for name, _ in protocols)

    def selected_protocol(self) -> str:
        """The protocol, of those that all members support, that most of them put first; at least one member."""
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = next(name for name, _ in member.protocols if self._speakers[name] == len(self.members))
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=lambda name: votes[name])

    def elect_joined_leader(self) -> bool:
        """Sees to it that the leader is one who has joined; False where nobody has."""
        if self.leader is None:
            return False
        if self.members[self.leader].joining is None:
            joined = next((name for name, member in self.members.items() if member.joining is not None), None)
            if joined is None:
                return False
            self.leader = joined
        return True

    def start_generation(self) -> None:
        """The members are known; what remains is the leader's assignment."""
        self.generation += 1
        self.unsynced.clear()
        self.initial_remaining_ms = None
        if self.members:
            self.protocol = self.selected_protocol()
            self.phase = Phase.COMPLETING_REBALANCE
        else:
            self.protocol = None
            self.phase = Phase.EMPTY

    def joined_members(self) -> tuple[JoinedMember, ...]:
        """What the leader needs to assign."""
        return tuple(
            JoinedMember(member.member_id, member.instance_id, member.metadata(self.protocol))
            for member in self.members.values()
        )

    def record(self, now_ms: int, assignments: Mapping[str, bytes] | None = None) -> GroupStored:
        """This generation as it is to be stored, with these assignments or those that the members have."""
        members = tuple(
            StoredMember(
                member_id=member.member_id,
                instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout_ms=member.rebalance_timeout_ms,
                session_timeout_ms=member.session_timeout_ms,
                subscription=member.metadata(self.protocol),
                assignment=member.assignment if assignments is None else assignments.get(member.member_id, b""),
            )
            for member in self.members.values()
        )
        return GroupStored(
            self.group_id, self.generation, self.protocol_type, self.protocol, self.leader, now_ms, members
        )

    def settle(self, record: GroupStored) -> None:
        """Takes what the log says. A member that lives keeps what the log does not hold: its waiters and protocols."""
        self.stored = record
        self.phase = Phase.STABLE if record.members else Phase.EMPTY
        self.generation = record.generation
        self.protocol_type = record.protocol_type
        self.protocol = record.protocol
        self.leader = record.leader
        self.initial_remaining_ms = None
        self.members = {stored.member_id: self._settled(stored, record.protocol) for stored in record.members}
        self.joining_count = 0
        self._speakers.clear()
        for member in self.members.values():
            self._count(member, 1)
        self.instances = {
            stored.instance_id: stored.member_id for stored in record.members if stored.instance_id is not None
        }
        self.unsynced = {member_id: None for member_id in self.unsynced if member_id in self.members}

    def _settled(self, stored: StoredMember, protocol: str | None) -> Member:
        member = self.members.get(stored.member_id)
        if member is None or member.metadata(protocol) != stored.subscription:
            member = Member(
                member_id=stored.member_id,
                instance_id=stored.instance_id,
                client_id=stored.client_id,
                client_host=stored.client_host,
                session_timeout_ms=stored.session_timeout_ms,
                rebalance_timeout_ms=stored.rebalance_timeout_ms,
                protocols=((protocol or "", stored.subscription),),
            )
        member.assignment = stored.assignment
        return member

    def subscribed_topics(self) -> frozenset[str] | None:
        """Topics that consumers of this group read; None where that cannot be known."""
        if self.protocol_type != CONSUMER or (self.members and self.protocol is None):
            return None
        topics: set[str] = set()
        for member in self.members.values():
            read = topics_of_subscription(member.metadata(self.protocol))
            if read is None:
                return None
            topics |= read
        return frozenset(topics)

    def view(self) -> GroupView:
        """The group as admins see it, with the members' metadata only where it is settled."""
        stable = self.phase is Phase.STABLE
        members = tuple(
            MemberView(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.metadata(self.protocol) if stable else b"",
                member.assignment,
            )
            for member in self.members.values()
        )
        protocol = (self.protocol or "") if stable else ""
        return GroupView(self.group_id, self.phase, self.protocol_type, protocol, self.generation, members)


def topics_of_subscription(metadata: bytes) -> set[str] | None:
    """The topics in a ConsumerProtocolSubscription of any version; None if it is not one.

    The only metadata that a broker may look into, and only to know which offsets are in use.
    """
    try:
        _version, count = struct.unpack_from(">hi", metadata)
        position, topics = 6, set()
        for _ in range(count):
            (length,) = struct.unpack_from(">h", metadata, position)
            name = metadata[position + 2 : position + 2 + length]
            if length < 0 or len(name) != length:
                return None
            topics.add(name.decode())
            position += 2 + length
    except (struct.error, UnicodeDecodeError):
        return None
    return topics
