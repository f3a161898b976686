"""Offsets outlive their retention, or do not, as on a real Kafka. The shortest retention is a minute: OFFSET_EXPIRY=1.

Each offset's end is seen from outside, and the order of these ends, which lie ten seconds apart and more, is compared.
"""

import asyncio
import os
from pathlib import Path

import pytest
from core.broker.running import running_server
from core.broker.wire_client import WireClient
from interop.group_dialogue import assigning, create_topic, joining, leaving, syncing, until_coordinated
from services.kafka import Kafka

from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest
from millstream.core.wire.messages.k16_list_groups import ListGroupsRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest

SETTINGS = {"offsets.retention.minutes": 1, "offsets.retention.check.interval.ms": 500}
READ, UNREAD = "group-dialogue", "group-dialogue-unread"
BEAT_S = 0.5


async def commit(client: WireClient, group: str, topic: str, version: int = 8, **fields: object) -> None:
    part = OffsetCommitRequest.OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    named = OffsetCommitRequest.OffsetCommitRequestTopic(name=topic, partitions=[part])
    request = OffsetCommitRequest(group_id=group, topics=[named], **fields)  # type: ignore[arg-type]
    answer = await client.ask(request, version)
    assert answer.topics[0].partitions[0].error_code == 0, answer  # type: ignore[attr-defined]


async def member_of(client: WireClient, group: str, protocol_type: str = "consumer") -> str:
    joined = await client.ask(joining(group, "", 3, protocol_type=protocol_type), 3)
    member: str = joined.member_id  # type: ignore[attr-defined]
    await client.ask(syncing(group, member, 1, 3, assignments=assigning(**{member: b"all"})), 3)
    return member


async def held(client: WireClient, groups: list[str]) -> set[str]:
    """`group topic` of every offset that there is, and `group` of every group."""
    asked = [OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group, topics=None) for group in groups]
    fetched = await client.ask(OffsetFetchRequest(groups=asked), 8)
    found = {f"{group.group_id} {topic.name}" for group in fetched.groups for topic in group.topics}  # type: ignore[attr-defined]
    listed = await client.ask(ListGroupsRequest(), 4)
    return found | {group.group_id for group in listed.groups if group.group_id in groups}  # type: ignore[attr-defined]


async def ends_of_offsets(address: tuple[str, int]) -> tuple[list[str], set[str]]:
    """What ends, in order, and what stays."""
    async with WireClient(address) as client:
        await create_topic(client)
        topic = CreateTopicsRequest.CreatableTopic(name=UNREAD, num_partitions=1, replication_factor=1)
        await client.ask(CreateTopicsRequest(topics=[topic], timeout_ms=20_000), 7)
        await until_coordinated(client, "first")
        await commit(client, "own-retention", READ, 2, retention_time_ms=20_000)
        await commit(client, "simple", READ)
        live, gone, worker = [await member_of(client, name) for name in ("live", "gone")] + [
            await member_of(client, "worker", "connect")
        ]
        await asyncio.sleep(10)
        for group, member in (("live", live), ("gone", gone), ("worker", worker)):
            for topic_name in (READ, UNREAD):
                await commit(client, group, topic_name, generation_id_or_member_epoch=1, member_id=member)
        groups = ["own-retention", "simple", "live", "gone", "worker"]
        before = await held(client, groups)
        ended: list[str] = []
        beats = 0
        while "gone" in before:
            await asyncio.sleep(BEAT_S)
            beats += 1
            for group, member in (("live", live), ("gone", gone), ("worker", worker)):
                await client.ask(HeartbeatRequest(group_id=group, generation_id=1, member_id=member), 3)
            if beats * BEAT_S == 20:
                await client.ask(leaving("gone", (gone, None)), 3)
            now = await held(client, groups)
            ended += sorted(name for name in before - now if " " in name)  # A group may be seen to end a little later.
            before = now
        return ended, before


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("OFFSET_EXPIRY"), reason="takes two minutes: OFFSET_EXPIRY=1 runs it")
@pytest.mark.timeout(300)
def test_offsets_end_in_the_same_order_and_the_same_ones_stay(tmp_path: Path) -> None:
    properties = "".join(f"{name}={value}\n" for name, value in SETTINGS.items())
    kafka = Kafka(tmp_path / "kafka", properties=properties)
    kafka.start()

    async def both() -> list[tuple[list[str], set[str]]]:
        settings = SETTINGS | {"group.initial.rebalance.delay.ms": 0}
        host, _, port = kafka.bootstrap.partition(":")
        async with running_server(tmp_path / "ours", settings) as server:
            return await asyncio.gather(ends_of_offsets(server.address), ends_of_offsets((host, int(port))))

    try:
        ours, theirs = asyncio.run(both())
    finally:
        kafka.stop()

    assert len(theirs[0]) == 5
    assert ours == theirs
