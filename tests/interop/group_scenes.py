"""More of the dialogue about groups: workers of Connect, votes, leaders that go, admins, transactions, coordinators."""

from typing import Any

from core.broker.wire_client import WireClient
from interop.group_dialogue import (
    STRANGER,
    TOPIC,
    Dialogue,
    assigning,
    committing,
    create_topic,
    deleting,
    fetches,
    joining,
    leaving,
    syncing,
    until_coordinated,
)

from millstream.core.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from millstream.core.wire.messages.k11_join_group import JoinGroupRequest
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest
from millstream.core.wire.messages.k13_leave_group import LeaveGroupRequest
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from millstream.core.wire.messages.k26_end_txn import EndTxnRequest
from millstream.core.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest
from millstream.core.wire.messages.k42_delete_groups import DeleteGroupsRequest

WORKER = {"protocol_type": "connect"}


def protocols(*names: str, metadata: bytes = b"m") -> list[JoinGroupRequest.JoinGroupRequestProtocol]:
    return [JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=metadata) for name in names]


async def connect_workers(talk: Dialogue, topic_id: bytes) -> None:
    """A group of another type: nobody looks into what its members say of themselves."""
    group = talk.group("workers")
    new, old = protocols("sessioned", "compatible", "default"), protocols("compatible", "default")
    kind: dict[str, Any] = {"protocol_type": "connect", "protocol_name": "compatible"}
    first = (await talk.ask(joining(group, "", 3, protocols=old, **WORKER), 3)).member_id
    parts = assigning(**{first: b"all"})
    await talk.ask(syncing(group, first, 1, assignments=parts, **kind), 5)
    second = (await talk.ask(joining(group, "", 8, protocols=new, **WORKER), 8)).member_id
    await talk.ask(joining(group, "", 8, protocols=protocols("eager"), **WORKER), 8)
    await talk.both(
        joining(group, first, 8, protocols=old, **WORKER), joining(group, second, 8, protocols=new, **WORKER), 8
    )
    await talk.ask(syncing(group, first, 2, protocol_type="connect", protocol_name="sessioned"), 5)
    parts = assigning(**{second: b"all"})
    await talk.both(syncing(group, first, 2, assignments=parts, **kind), syncing(group, second, 2, **kind), 5)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)
    commit = committing(group, 8, topic_id, 0, 1, generation_id_or_member_epoch=2, member_id=second)
    await talk.ask(commit, 8)
    await talk.ask(deleting(group), 0)
    await talk.ask(leaving(group, (first, None)), 5)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=2, member_id=second), 4)
    await talk.ask(joining(group, second, 9, protocols=new, **WORKER), 9)
    await talk.ask(syncing(group, second, 3, protocol_type="connect", protocol_name="compatible"), 5)
    await talk.ask(syncing(group, second, 3, protocol_type="connect", protocol_name="sessioned"), 5)
    await talk.ask(leaving(group, (second, None)), 5)
    await talk.ask(deleting(group), 0)
    await talk.ask(joining(group, "", 3, protocols=protocols("range")), 3)


async def votes(talk: Dialogue) -> None:
    """A protocol that all support and most put first; a follower that changes its mind starts a rebalance."""
    group = talk.group("votes")
    first = (await talk.ask(joining(group, "", 3, protocols=protocols("a", "b", "c")), 3)).member_id
    second = (await talk.ask(joining(group, "", 9, protocols=protocols("c", "a")), 9)).member_id
    await talk.ask(LeaveGroupRequest(group_id=group, member_id=STRANGER), 2)
    await talk.both(
        joining(group, first, 9, protocols=protocols("c", "b", "a")),
        joining(group, second, 9, protocols=protocols("c", "a")),
        9,
    )
    await talk.both(
        syncing(group, first, 2, 4, assignments=assigning(**{first: b"1", second: b"2"})),
        syncing(group, second, 2, 4),
        4,
    )
    await talk.ask(joining(group, second, 9, protocols=protocols("b")), 9)
    for refused in (protocols("d"), protocols("c", metadata=b"other")[:0]):
        await talk.ask(joining(group, second, 9, protocols=refused), 9)
    await talk.both(
        joining(group, second, 9, protocols=protocols("a", "c")),
        joining(group, first, 9, protocols=protocols("a", "c")),
        9,
    )
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)
    await talk.ask(leaving(group, (first, None), (second, None)), 5)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)


async def static_members_under_way(talk: Dialogue) -> None:
    """Static members that come back before the assignment, and under an id that is theirs no more."""
    group = talk.group("static-under-way")
    first = (await talk.ask(joining(group, "", 5, group_instance_id="i1"), 5)).member_id
    again = (await talk.ask(joining(group, "", 9, group_instance_id="i1"), 9)).member_id
    await talk.ask(syncing(group, first, 1, group_instance_id="i1"), 5)
    await talk.ask(syncing(group, again, 1, group_instance_id="i1"), 5)
    await talk.ask(syncing(group, again, 2, group_instance_id="i1", assignments=assigning(**{again: b"all"})), 5)
    await talk.ask(joining(group, again, 9, group_instance_id="i9"), 9)
    await talk.ask(joining(group, first, 9), 9)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=2, member_id=first), 4)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=2, member_id=again), 4)
    await talk.ask(leaving(group, (again, "i9"), ("", "i1"), (again, "i1")), 5)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)


async def transactions(talk: Dialogue, topic_id: bytes) -> None:
    """Offsets that are pending in a transaction: unstable, and gone with the group."""
    group = talk.group("transactional")
    name = talk.group("producer")
    error = 1
    while error:  # A fresh Kafka first makes the topic of its transactions when it is asked for the coordinator.
        await talk.ask_unheard(FindCoordinatorRequest(key=name, key_type=1), 3)
        begin = InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000)
        made: Any = await talk.ask_unheard(begin, 4)
        error = made.error_code
    producer: dict[str, Any] = {"producer_id": made.producer_id, "producer_epoch": made.producer_epoch}

    async def commit(**member: Any) -> None:
        parts = [TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=77)]
        topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(name=TOPIC, partitions=parts)
        request = TxnOffsetCommitRequest(transactional_id=name, group_id=group, topics=[topic], **producer, **member)
        await talk.ask(request, 3)

    async def add() -> None:
        await talk.ask(AddOffsetsToTxnRequest(transactional_id=name, group_id=group, **producer), 3)

    await add()
    await commit(generation_id=4, member_id=STRANGER)
    await commit()
    await fetches(talk, group, topic_id)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 6)
    await talk.ask(DeleteGroupsRequest(groups_names=[group]), 2)
    await fetches(talk, group, topic_id)
    await talk.ask(EndTxnRequest(transactional_id=name, committed=True, **producer), 3)
    await fetches(talk, group, topic_id)


async def coordinators(talk: Dialogue) -> None:
    for version in range(4):
        await talk.ask(FindCoordinatorRequest(key=talk.group("two")), version)
    for version in range(4, 7):
        keys = [talk.group("two"), talk.group("three"), talk.group("two")]
        await talk.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=keys), version)
        await talk.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=[]), version)


async def perform(client: WireClient, other: WireClient, run: str) -> list[str]:
    """All scenes; what was heard."""
    topic_id = await create_topic(client)
    await until_coordinated(client, f"{run}-first")
    talk = Dialogue(client, other, run)
    await connect_workers(talk, topic_id)
    await votes(talk)
    await static_members_under_way(talk)
    await coordinators(talk)
    await transactions(talk, topic_id)
    text = repr(topic_id)
    return [line.replace(text, "topic-id") for line in talk.heard]
