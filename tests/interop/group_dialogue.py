"""A fixed dialogue about groups, and what a broker answers, with ids made comparable. See test_groups_like_kafka.py."""

import re
from typing import Any

from core.broker.wire_client import WireClient

from millstream.core.errors import ErrorCode
from millstream.core.wire.message import Message
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest
from millstream.core.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from millstream.core.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupResponse
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest
from millstream.core.wire.messages.k13_leave_group import LeaveGroupRequest
from millstream.core.wire.messages.k14_sync_group import SyncGroupRequest
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from millstream.core.wire.messages.k16_list_groups import ListGroupsRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k42_delete_groups import DeleteGroupsRequest
from millstream.core.wire.messages.k47_offset_delete import OffsetDeleteRequest

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
STRANGER = "stranger"
TOPIC = "group-dialogue"
SUBSCRIPTION = b"\0\x01\0\0\0\x01\0" + bytes([len(TOPIC)]) + TOPIC.encode() + b"\xff\xff\xff\xff\0\0\0\0"
"""What a consumer of the topic puts into its JoinGroup."""


class Dialogue:
    """Asks and writes down. `run` gives groups names of their own, which are taken out of the answers again."""

    def __init__(self, client: WireClient, other: WireClient, run: str) -> None:
        self._client = client
        self._other = other
        self._run = run
        self._ids: dict[str, str] = {}
        self.heard: list[str] = []

    def group(self, name: str) -> str:
        return f"{self._run}-{name}"

    async def ask(self, request: Message, version: int) -> Any:
        response = await self._client.ask(request, version)
        self._note(f"{type(request).__name__} {version}", response)
        return response

    async def ask_unheard(self, request: Message, version: int) -> Any:
        """For what differs from run to run."""
        return await self._client.ask(request, version)

    def _note(self, asked: str, response: Any) -> None:
        for topic in getattr(response, "topics", ()):
            topic.partitions.sort(key=lambda part: part.partition_index)  # Kafka answers refused ones first,
        if isinstance(response, JoinGroupResponse):
            response.members.sort(key=lambda member: self._place(member.member_id))  # and members in any order.
        if isinstance(response, DescribeGroupsResponse):
            for group in response.groups:
                group.members.sort(key=lambda member: self._place(member.member_id))
        text = UUID.sub(lambda found: self._ids.setdefault(found[0], f"id{len(self._ids)}"), repr(response))
        text = re.sub(r"port=\d+", "port=...", text.replace(self._run, "run"))
        self.heard.append(f"{asked}: {text}")

    def _place(self, member_id: str) -> int:
        """When this member was first heard of."""
        found = UUID.search(member_id)
        return list(self._ids).index(found[0]) if found and found[0] in self._ids else len(self._ids)

    async def ask_for_own(self, request: ListGroupsRequest, version: int) -> None:
        """Writes down what is said of some groups of this run."""
        response: Any = await self._client.ask(request, version)
        asked_for = [self.group(name) for name in ("simple", "two", "v3", "v9")]
        own = [group for group in response.groups if group.group_id in asked_for]
        self._note(f"{request} {version}", sorted(own, key=lambda group: group.group_id))

    async def both(self, first: Message, second: Message, version: int) -> tuple[Any, Any]:
        """Two requests that wait for each other."""
        self._other.send(second, version)
        response = await self._client.ask(first, version)
        self._note(f"first {type(first).__name__} {version}", response)
        other = await self._other.receive()
        self._note(f"second {type(second).__name__} {version}", other)
        return response, other


def joining(group_id: str, member_id: str = "", version: int = 9, **changes: Any) -> JoinGroupRequest:
    protocol = JoinGroupRequest.JoinGroupRequestProtocol
    fields: dict[str, Any] = {
        "group_id": group_id,
        "session_timeout_ms": 120_000,
        "rebalance_timeout_ms": 130_000,
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocols": [protocol(name="range", metadata=SUBSCRIPTION), protocol(name="sticky", metadata=b"s")],
    }
    if version >= 8:
        fields["reason"] = "because"
    return JoinGroupRequest(**(fields | changes))


def syncing(group_id: str, member_id: str, generation: int, version: int = 5, **changes: Any) -> SyncGroupRequest:
    fields: dict[str, Any] = {"group_id": group_id, "generation_id": generation, "member_id": member_id}
    if version >= 5:
        fields |= {"protocol_type": "consumer", "protocol_name": "range"}
    return SyncGroupRequest(**(fields | changes))


def assigning(**parts: bytes) -> list[SyncGroupRequest.SyncGroupRequestAssignment]:
    return [
        SyncGroupRequest.SyncGroupRequestAssignment(member_id=member_id, assignment=part)
        for member_id, part in parts.items()
    ]


def committing(group_id: str, version: int, topic_id: bytes, *partitions: int, **changes: Any) -> OffsetCommitRequest:
    named = {"topic_id": topic_id} if version >= 10 else {"name": TOPIC}
    parts = [
        OffsetCommitRequest.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=partition + 10, committed_metadata="note"
        )
        for partition in partitions
    ]
    topic = OffsetCommitRequest.OffsetCommitRequestTopic(partitions=parts, **named)
    return OffsetCommitRequest(group_id=group_id, topics=[topic], **changes)


def leaving(group_id: str, *members: tuple[str, str | None]) -> LeaveGroupRequest:
    identities = [
        LeaveGroupRequest.MemberIdentity(member_id=member_id, group_instance_id=instance_id)
        for member_id, instance_id in members
    ]
    return LeaveGroupRequest(group_id=group_id, members=identities)


async def create_topic(client: WireClient) -> bytes:
    """The topic, with two partitions, unless an earlier dialogue has made it; its id."""
    topic = CreateTopicsRequest.CreatableTopic(name=TOPIC, num_partitions=2, replication_factor=1)
    response: Any = await client.ask(CreateTopicsRequest(topics=[topic], timeout_ms=20_000), 7)
    assert response.topics[0].error_code in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS), response
    known: Any = await client.ask(MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name=TOPIC)]), 12)
    topic_id: bytes = known.topics[0].topic_id
    return topic_id


async def until_coordinated(client: WireClient, group_id: str) -> None:
    """A fresh Kafka first makes the topic of its offsets, and loads it."""
    error = 1
    while error:
        found: Any = await client.ask(FindCoordinatorRequest(key=group_id), 3)
        group = OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group_id, topics=None)
        fetched: Any = await client.ask(OffsetFetchRequest(groups=[group]), 8)
        error = found.error_code or fetched.groups[0].error_code


async def unknown_groups(talk: Dialogue, topic_id: bytes) -> None:
    for group in (talk.group("none"), ""):
        for version in range(5):
            await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=STRANGER), version)
        for version in range(6):
            await talk.ask(syncing(group, STRANGER, 1, version), version)
            if version < 3:
                await talk.ask(LeaveGroupRequest(group_id=group, member_id=STRANGER), version)
            else:
                await talk.ask(leaving(group, (STRANGER, None), ("", "i"), (STRANGER, "i")), version)
        for version in range(10):
            await talk.ask(joining(group, STRANGER, version), version)
        for version in range(2, 11):
            request = committing(group, version, topic_id, 0, 7, generation_id_or_member_epoch=1, member_id=STRANGER)
            await talk.ask(request, version)
    group = talk.group("none")
    for version in range(7):
        await talk.ask(DescribeGroupsRequest(groups=[group]), version)
    for version in range(3):
        await talk.ask(DeleteGroupsRequest(groups_names=[group]), version)
    await fetches(talk, group, topic_id)
    await talk.ask(deleting(group), 0)


async def fetches(talk: Dialogue, group: str, topic_id: bytes) -> None:
    topic = OffsetFetchRequest.OffsetFetchRequestTopic(name=TOPIC, partition_indexes=[0, 1, 7])
    for version in range(1, 8):
        await talk.ask(OffsetFetchRequest(group_id=group, topics=[topic]), version)
        if version >= 2:
            await talk.ask(OffsetFetchRequest(group_id=group, topics=None), version)
    for version in range(8, 11):
        named = {"topic_id": topic_id} if version >= 10 else {"name": TOPIC}
        asked = OffsetFetchRequest.OffsetFetchRequestTopics(partition_indexes=[0, 1, 7], **named)
        some = OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group, topics=[asked])
        everything = OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group, topics=None)
        await talk.ask(OffsetFetchRequest(groups=[some], require_stable=True), version)
        await talk.ask(OffsetFetchRequest(groups=[everything]), version)


def deleting(group: str) -> OffsetDeleteRequest:
    partitions = [OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=index) for index in (0, 1)]
    topic = OffsetDeleteRequest.OffsetDeleteRequestTopic(name=TOPIC, partitions=partitions)
    return OffsetDeleteRequest(group_id=group, topics=[topic])


async def refused_joins(talk: Dialogue) -> None:
    group = talk.group("refused")
    for version in (3, 9):
        for changes in (
            {"session_timeout_ms": 5_999},
            {"session_timeout_ms": 1_800_001},
            {"protocols": []},
            {"protocol_type": ""},
        ):
            await talk.ask(joining(group, "", version, **changes), version)


async def simple_consumer(talk: Dialogue, topic_id: bytes) -> None:
    for version in range(2, 11):
        await talk.ask(committing(talk.group("simple"), version, topic_id, 0, 1, 7), version)
    long_note = committing(talk.group("simple"), 8, topic_id, 0, 1)
    long_note.topics[0].partitions[0].committed_metadata = "x" * 4_097
    await talk.ask(long_note, 8)
    await fetches(talk, talk.group("simple"), topic_id)
    await talk.ask(DescribeGroupsRequest(groups=[talk.group("simple")], include_authorized_operations=True), 5)
    await talk.ask(deleting(talk.group("simple")), 0)
    await fetches(talk, talk.group("simple"), topic_id)


async def joins_of_each_version(talk: Dialogue) -> None:
    for version in range(10):
        group = talk.group(f"v{version}")
        joined = await talk.ask(joining(group, "", version), version)
        if version >= 4:
            joined = await talk.ask(joining(group, joined.member_id, version), version)
        sync_version = min(version, 5)
        request = syncing(group, joined.member_id, 1, sync_version)
        request.assignments = assigning(**{joined.member_id: b"all"})
        await talk.ask(request, sync_version)
        await talk.ask(DescribeGroupsRequest(groups=[group]), min(version, 6))


async def two_members(talk: Dialogue, topic_id: bytes) -> None:
    group = talk.group("two")
    first = (await talk.ask(joining(group, "", 3), 3)).member_id
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=first), 4)
    await talk.ask(committing(group, 8, topic_id, 0, generation_id_or_member_epoch=1, member_id=first), 8)
    await talk.ask(syncing(group, first, 1, assignments=assigning(**{first: b"all"})), 5)
    await talk.ask(syncing(group, first, 1, protocol_name="sticky"), 5)
    await talk.ask(syncing(group, first, 1, protocol_name=None), 5)
    await talk.ask(syncing(group, first, 2), 5)
    await talk.ask(joining(group, "", 3, protocol_type="connect"), 3)
    second = (await talk.ask(joining(group, "", 9), 9)).member_id
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=second), 4)
    leader, _ = await talk.both(joining(group, first, 9), joining(group, second, 9), 9)
    assert leader.leader == first
    await talk.ask(joining(group, second, 9), 9)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=second), 4)
    parts = assigning(**{first: b"one", second: b"two"})
    await talk.both(syncing(group, first, 2, assignments=parts), syncing(group, second, 2), 5)
    await talk.ask(joining(group, second, 9), 9)
    for changes in ({}, {"generation_id_or_member_epoch": 1, "member_id": first}, {"member_id": first}):
        await talk.ask(committing(group, 9, topic_id, 0, **changes), 9)
    await talk.ask(committing(group, 9, topic_id, 0, generation_id_or_member_epoch=2, member_id=first), 9)
    await talk.ask(deleting(group), 0)
    await talk.ask(DeleteGroupsRequest(groups_names=[group]), 2)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)
    await talk.ask(leaving(group, (second, None), (STRANGER, None)), 5)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=2, member_id=first), 4)
    await talk.ask(committing(group, 9, topic_id, 1, generation_id_or_member_epoch=2, member_id=first), 9)
    await talk.ask(syncing(group, first, 2), 5)
    await talk.ask(joining(group, first, 9), 9)
    await talk.ask(leaving(group, (first, None)), 3)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=3, member_id=first), 4)
    await fetches(talk, group, topic_id)
    for filters in ({}, {"states_filter": ["empty"]}, {"types_filter": ["classic"]}, {"types_filter": ["consumer"]}):
        await talk.ask_for_own(ListGroupsRequest(**filters), 5)
    await talk.ask(DeleteGroupsRequest(groups_names=[group, group]), 2)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 6)


async def static_members(talk: Dialogue, topic_id: bytes) -> None:
    group = talk.group("static")
    first = (await talk.ask(joining(group, "", 9, group_instance_id="i1"), 9)).member_id
    await talk.ask(syncing(group, first, 1, group_instance_id="i1", assignments=assigning(**{first: b"all"})), 5)
    for version in (5, 9):
        joined = await talk.ask(joining(group, "", version, group_instance_id="i1"), version)
        await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=first, group_instance_id="i1"), 4)
        await talk.ask(syncing(group, first, 1, group_instance_id="i1"), 5)
        await talk.ask(joining(group, first, 9, group_instance_id="i1"), 9)
        fenced = committing(group, 8, topic_id, 0, generation_id_or_member_epoch=1, member_id=first)
        fenced.group_instance_id = "i1"
        await talk.ask(fenced, 8)
        await talk.ask(leaving(group, (first, "i1"), (first, None), ("", "i2")), 5)
        first = joined.member_id
        await talk.ask(syncing(group, first, 1, group_instance_id="i1"), 5)
    await talk.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=first, group_instance_id="i2"), 4)
    changed = [JoinGroupRequest.JoinGroupRequestProtocol(name="sticky", metadata=b"s")]
    await talk.ask(joining(group, "", 9, group_instance_id="i1", protocols=changed), 9)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)
    await talk.ask(leaving(group, ("", "i1")), 4)
    await talk.ask(DescribeGroupsRequest(groups=[group]), 5)


async def hold(client: WireClient, other: WireClient, run: str) -> list[str]:
    """The whole dialogue."""
    topic_id = await create_topic(client)
    await until_coordinated(client, f"{run}-first")
    talk = Dialogue(client, other, run)
    await unknown_groups(talk, topic_id)
    await refused_joins(talk)
    await simple_consumer(talk, topic_id)
    await joins_of_each_version(talk)
    await two_members(talk, topic_id)
    await static_members(talk, topic_id)
    text = repr(topic_id)
    return [line.replace(text, "topic-id") for line in talk.heard]
