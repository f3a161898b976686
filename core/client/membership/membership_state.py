"""One member's view of its group: identity, generation, and what each error means for them. Pure; shell: membership.py.

Source: the classic consumer group protocol; KIP-345 (static members), KIP-394 (member id first), KIP-429 (cooperative
rebalancing). Tests: tests/core/client/test_membership_state.py.
"""

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from ...errors import ErrorCode, WireError
from ...wire.log_records import decode_tolerant, encode_versioned
from ...wire.messages.data_consumer_protocol_assignment import ConsumerProtocolAssignment
from ...wire.messages.data_consumer_protocol_subscription import ConsumerProtocolSubscription
from ..consuming.offsets import TopicPartition, by_topic
from .assignors import Assignor, Member

SUBSCRIPTION_VERSION = 3
ASSIGNMENT_VERSION = 1
NO_GENERATION = -1
_SHORT = struct.Struct(">h")
_COUNT = struct.Struct(">i")


class Phase(Enum):
    """Whether the coordinator counts us in."""

    OUT = "out"
    JOINING = "joining"
    IN = "in"


class Verdict(Enum):
    """What an error code of the coordinator asks for."""

    FINE = "fine"
    AGAIN = "again"
    REJOIN = "rejoin"
    LOST = "what was owned is lost; rejoin"
    UNKNOWN = "what was owned is lost; rejoin as a new member"
    FATAL = "fatal"


_VERDICTS = {
    ErrorCode.NONE: Verdict.FINE,
    ErrorCode.REBALANCE_IN_PROGRESS: Verdict.REJOIN,
    ErrorCode.MEMBER_ID_REQUIRED: Verdict.AGAIN,
    ErrorCode.ILLEGAL_GENERATION: Verdict.LOST,
    ErrorCode.UNKNOWN_MEMBER_ID: Verdict.UNKNOWN,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS: Verdict.AGAIN,
    ErrorCode.COORDINATOR_NOT_AVAILABLE: Verdict.AGAIN,
    ErrorCode.NOT_COORDINATOR: Verdict.AGAIN,
    ErrorCode.REQUEST_TIMED_OUT: Verdict.AGAIN,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: Verdict.AGAIN,
}


def verdict(code: ErrorCode) -> Verdict:
    return _VERDICTS.get(code, Verdict.FATAL)


@dataclass(frozen=True, slots=True)
class Change:
    """What a new assignment changes. With `again` the group rebalances once more, for what was given up here."""

    revoked: tuple[TopicPartition, ...]
    added: tuple[TopicPartition, ...]
    again: bool


class MemberState:
    """Identity and generation of one member."""

    def __init__(self, assignors: Sequence[Assignor], instance_id: str | None) -> None:
        self.assignors = tuple(assignors)
        self.instance_id = instance_id
        self.phase = Phase.OUT
        self.member_id = ""
        self.generation = NO_GENERATION
        # Rebalancing is cooperative only if every assignor on offer is: any of them may be chosen.
        self.cooperative = all(assignor.cooperative for assignor in assignors)

    def joined(self, member_id: str, generation: int) -> None:
        self.member_id, self.generation, self.phase = member_id, generation, Phase.JOINING

    def synced(self) -> None:
        self.phase = Phase.IN

    def joining(self) -> None:
        """A join is under way: no heartbeats until it is done."""
        self.phase = Phase.JOINING

    def lost(self, *, unknown: bool) -> None:
        """What we own is ours no longer; if the coordinator does not know us either, we begin without a member id."""
        self.phase, self.generation = Phase.OUT, NO_GENERATION
        if unknown:
            self.member_id = ""

    def change(self, owned: Collection[TopicPartition], assigned: Collection[TopicPartition]) -> Change:
        """From what is owned to what is assigned."""
        revoked = tuple(sorted(set(owned) - set(assigned)))
        added = tuple(sorted(set(assigned) - set(owned)))
        return Change(revoked, added, again=self.cooperative and bool(revoked))

    def subscription(self, assignor: Assignor, topics: Collection[str], owned: Collection[TopicPartition]) -> bytes:
        """What we tell the group's leader with each assignor."""
        kept = owned if self.cooperative else ()
        user_data = None
        if assignor.cooperative:
            user_data = _COUNT.pack(self.generation)
        elif assignor.sticky and owned:
            user_data = encode_sticky_user_data(owned, self.generation)
        message = ConsumerProtocolSubscription(
            topics=sorted(topics),
            user_data=user_data,
            owned_partitions=[
                ConsumerProtocolSubscription.TopicPartition(topic=topic, partitions=numbers)
                for topic, numbers in by_topic(kept).items()
            ],
            generation_id=self.generation,
        )
        return encode_versioned(message, SUBSCRIPTION_VERSION)


def decode_subscription(member_id: str, instance_id: str | None, data: bytes, assignor: Assignor) -> Member:
    """What a member told us as the group's leader. Raises WireError."""
    message, _ = decode_tolerant(ConsumerProtocolSubscription, data)
    owned = tuple((item.topic, number) for item in message.owned_partitions for number in item.partitions)
    generation = message.generation_id
    if assignor.sticky and message.user_data:
        if assignor.cooperative and generation == NO_GENERATION and len(message.user_data) >= _COUNT.size:
            (generation,) = _COUNT.unpack_from(message.user_data)
        elif not assignor.cooperative:
            owned, generation = decode_sticky_user_data(message.user_data)
    return Member(member_id, tuple(message.topics), owned, generation, instance_id)


def encode_assignment(partitions: Collection[TopicPartition]) -> bytes:
    message = ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignment.TopicPartition(topic=topic, partitions=numbers)
            for topic, numbers in by_topic(partitions).items()
        ]
    )
    return encode_versioned(message, ASSIGNMENT_VERSION)


def decode_assignment(data: bytes) -> tuple[TopicPartition, ...]:
    """The partitions that the leader gave us. Raises WireError."""
    if not data:
        return ()
    message, _ = decode_tolerant(ConsumerProtocolAssignment, data)
    return tuple((item.topic, number) for item in message.assigned_partitions for number in item.partitions)


def encode_sticky_user_data(owned: Collection[TopicPartition], generation: int) -> bytes:
    """Previous partitions and generation, as Kafka's sticky assignor writes them."""
    topics = by_topic(owned)
    parts = [_COUNT.pack(len(topics))]
    for topic, numbers in topics.items():
        name = topic.encode()
        parts += [_SHORT.pack(len(name)), name, _COUNT.pack(len(numbers)), *map(_COUNT.pack, numbers)]
    return b"".join((*parts, _COUNT.pack(generation)))


def decode_sticky_user_data(data: bytes) -> tuple[tuple[TopicPartition, ...], int]:
    """The reverse; the generation is -1 in the oldest layout, which lacks it. Raises WireError."""
    found: list[TopicPartition] = []
    try:
        (topics,) = _COUNT.unpack_from(data)
        at = _COUNT.size
        for _ in range(topics):
            (length,) = _SHORT.unpack_from(data, at)
            at += _SHORT.size
            if length < 0:
                raise WireError(f"sticky user data has a topic name of {length} bytes")
            name = data[at : at + length].decode()
            at += length
            (count,) = _COUNT.unpack_from(data, at)
            at += _COUNT.size
            if not 0 <= count <= (len(data) - at) // _COUNT.size:
                raise WireError(f"sticky user data claims {count} partitions of {name!r}")
            found += ((name, number) for (number,) in _COUNT.iter_unpack(data[at : at + count * _COUNT.size]))
            at += count * _COUNT.size
        generation = _COUNT.unpack_from(data, at)[0] if at < len(data) else NO_GENERATION
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"malformed sticky user data: {error}") from error
    return tuple(found), generation
