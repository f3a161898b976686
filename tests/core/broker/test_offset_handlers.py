"""The APIs of committed offsets, in every version, over TCP."""

from pathlib import Path
from typing import Any

import pytest
from core.broker.running import running_server
from core.broker.test_group_handlers import join, syncing
from core.broker.test_groups import AT_ONCE
from core.broker.wire_client import WireClient

from millstream.core.broker.network.server import Server
from millstream.core.coordinators.group_commands import CommitOffsets, OffsetEntry
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitResponse
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from millstream.core.wire.messages.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteResponse

NOBODY = bytes(15) + b"\x09"
UNKNOWN_PARTITION = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def topic_of(server: Server, version: int, name: str = "t") -> dict[str, Any]:
    """A topic as requests of this version name it."""
    if version < 10:
        return {"name": name}
    known = server.broker.cluster.topic(name)
    return {"topic_id": NOBODY if known is None else known.topic_id}


def committing(
    server: Server, version: int, offsets: dict[tuple[str, int], int], **changes: Any
) -> OffsetCommitRequest:
    topics: dict[str, list[OffsetCommitRequest.OffsetCommitRequestPartition]] = {}
    for (name, partition), offset in offsets.items():
        part = OffsetCommitRequest.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata="note"
        )
        if version >= 6:
            part.committed_leader_epoch = 0
        topics.setdefault(name, []).append(part)
    named = [
        OffsetCommitRequest.OffsetCommitRequestTopic(partitions=parts, **topic_of(server, version, name))
        for name, parts in topics.items()
    ]
    return OffsetCommitRequest(group_id="g", topics=named, **changes)


def errors_of(response: Any) -> list[int]:
    return [part.error_code for topic in response.topics for part in topic.partitions]


@pytest.mark.parametrize("version", range(2, 11))
async def test_offsets_are_committed_in_every_version_each_with_its_own_answer(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 2, {})
        offsets = {("t", 0): 10, ("t", 2): 11, ("missing", 0): 12}

        committed = await client.ask(committing(server, version, offsets), version)

        part = OffsetCommitResponse.OffsetCommitResponsePartition
        missing = int(ErrorCode.UNKNOWN_TOPIC_ID) if version >= 10 else UNKNOWN_PARTITION
        first = [part(partition_index=0), part(partition_index=2, error_code=UNKNOWN_PARTITION)]
        second = [part(partition_index=0, error_code=missing)]
        topic = OffsetCommitResponse.OffsetCommitResponseTopic
        assert committed == OffsetCommitResponse(
            topics=[
                topic(partitions=first, **topic_of(server, version)),
                topic(partitions=second, **topic_of(server, version, "missing")),
            ]
        )


@pytest.mark.parametrize("version", range(2, 11))
async def test_a_commit_of_a_stranger_is_refused_as_each_version_knows_it(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 2, {})
        request = committing(
            server, version, {("t", 0): 1, ("t", 1): 1}, generation_id_or_member_epoch=1, member_id="x"
        )

        refused = await client.ask(request, version)

        error = ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
        assert errors_of(refused) == [int(error), int(error)]


@pytest.mark.parametrize("version", range(1, 8))
async def test_offsets_of_one_group_are_fetched_in_versions_up_to_7(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 2, {})
        await client.ask(committing(server, 8, {("t", 1): 10}), 8)
        asked = OffsetFetchRequest.OffsetFetchRequestTopic(name="t", partition_indexes=[0, 1])

        fetched = await client.ask(OffsetFetchRequest(group_id="g", topics=[asked]), version)

        part = OffsetFetchResponse.OffsetFetchResponsePartition
        epoch = {"committed_leader_epoch": 0} if version >= 5 else {}
        known = part(partition_index=1, committed_offset=10, metadata="note", **epoch)
        unknown = part(partition_index=0, committed_offset=-1, metadata="")
        topic = OffsetFetchResponse.OffsetFetchResponseTopic
        assert fetched == OffsetFetchResponse(topics=[topic(name="t", partitions=[unknown, known])])
        if version >= 2:
            everything = await client.ask(OffsetFetchRequest(group_id="g", topics=None), version)
            assert everything == OffsetFetchResponse(topics=[topic(name="t", partitions=[known])])


@pytest.mark.parametrize("version", range(8, 11))
async def test_offsets_of_several_groups_are_fetched_from_version_8_on(version: int, tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 2, {})
        await client.ask(committing(server, 8, {("t", 1): 10}), 8)
        wanted = OffsetFetchRequest.OffsetFetchRequestTopics(partition_indexes=[0, 1], **topic_of(server, version))
        gone = OffsetFetchRequest.OffsetFetchRequestTopics(partition_indexes=[3], **topic_of(server, version, "gone"))
        group = OffsetFetchRequest.OffsetFetchRequestGroup
        groups = [
            group(group_id="g", topics=[wanted, gone]),
            group(group_id="g", topics=None),
            group(group_id="h", topics=None),
        ]

        fetched = await client.ask(OffsetFetchRequest(groups=groups, require_stable=True), version)

        part, topic = OffsetFetchResponse.OffsetFetchResponsePartitions, OffsetFetchResponse.OffsetFetchResponseTopics
        answer = OffsetFetchResponse.OffsetFetchResponseGroup
        known = part(partition_index=1, committed_offset=10, committed_leader_epoch=0, metadata="note")
        unknown = part(partition_index=0, committed_offset=-1, metadata="")
        lost = part(partition_index=3, committed_offset=-1, metadata="")
        if version >= 10:
            lost.error_code = int(ErrorCode.UNKNOWN_TOPIC_ID)
        name = topic_of(server, version)
        assert fetched == OffsetFetchResponse(
            groups=[
                answer(
                    group_id="g",
                    topics=[
                        topic(partitions=[unknown, known], **name),
                        topic(partitions=[lost], **topic_of(server, version, "gone")),
                    ],
                ),
                answer(group_id="g", topics=[topic(partitions=[known], **name)]),
                answer(group_id="h"),
            ]
        )


@pytest.mark.parametrize(
    ("require_stable", "expected"), [(True, (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)), (False, (10, ErrorCode.NONE))]
)
async def test_an_offset_that_a_transaction_may_change_is_given_only_to_those_who_do_not_mind(
    require_stable: bool, expected: tuple[int, ErrorCode], tmp_path: Path
) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 1, {})
        await client.ask(committing(server, 8, {("t", 0): 10}), 8)
        pending_offset(server)
        asked = OffsetFetchRequest.OffsetFetchRequestTopic(name="t", partition_indexes=[0])

        fetched = await client.ask(OffsetFetchRequest(group_id="g", topics=[asked], require_stable=require_stable), 7)

        assert isinstance(fetched, OffsetFetchResponse)
        (part,) = fetched.topics[0].partitions
        assert (part.committed_offset, part.error_code) == (expected[0], int(expected[1]))


def pending_offset(server: Server) -> None:
    """Offset 20 of partition 0 of `t` in an open transaction."""
    command = CommitOffsets("g", -1, "", None, (OffsetEntry("t", 0, 20),), producer_id=7)
    server.broker.groups.ask(command, "g", lambda reply: reply, producer_epoch=0)


async def test_offsets_are_deleted_and_kept_where_members_may_need_them(tmp_path: Path) -> None:
    async with running_server(tmp_path, AT_ONCE) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 2, {})
        await client.ask(committing(server, 8, {("t", 0): 10, ("t", 1): 11}), 8)
        partitions = [
            OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=partition) for partition in (0, 7)
        ]
        topics = [OffsetDeleteRequest.OffsetDeleteRequestTopic(name="t", partitions=partitions)]

        async def deleted(group_id: str) -> tuple[int, list[int]]:
            response = await client.ask(OffsetDeleteRequest(group_id=group_id, topics=topics), 0)
            assert isinstance(response, OffsetDeleteResponse)
            return response.error_code, errors_of(response)

        assert await deleted("none") == (int(ErrorCode.GROUP_ID_NOT_FOUND), [])
        assert await deleted("g") == (0, [0, UNKNOWN_PARTITION])
        everything = await client.ask(OffsetFetchRequest(group_id="g", topics=None), 7)
        assert isinstance(everything, OffsetFetchResponse)
        assert [part.partition_index for topic in everything.topics for part in topic.partitions] == [1]
        member_id = (await join(client)).member_id
        await client.ask(syncing(5, member_id), 5)
        assert await deleted("g") == (0, [int(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC), UNKNOWN_PARTITION])
