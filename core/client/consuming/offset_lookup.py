"""Offsets by time or end, and committed offsets, asked from leaders and coordinators. Shell.

Source: ListOffsets (KIP-79, KIP-98 for isolation), OffsetFetch (KIP-447 for stable offsets).
Tests: tests/core/client/test_consumer.py.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ErrorCode, ProtocolError, Retriable, WireError
from ...wire.messages.k02_list_offsets import ListOffsetsRequest
from ...wire.messages.k09_offset_fetch import OffsetFetchRequest
from ..link import GROUP, ClusterLink
from ..network.connection import check, error_for
from ..network.nodes import MAIN
from .offsets import CommittedOffset, TopicPartition, by_topic, values_by_topic

LATEST = -1
EARLIEST = -2
READ_UNCOMMITTED = 0
READ_COMMITTED = 1


@dataclass(frozen=True, slots=True)
class FoundOffset:
    """An offset with its record's time. Offset -1: there is no record that late."""

    offset: int
    timestamp_ms: int
    leader_epoch: int = -1


async def list_offsets(
    client: ClusterLink,
    times: Mapping[TopicPartition, int],
    *,
    isolation: int = READ_UNCOMMITTED,
    channel: str = MAIN,
    timeout_ms: int | None = None,
) -> dict[TopicPartition, FoundOffset]:
    """The first offset at or after each time (LATEST, EARLIEST: the ends). Waits for leaders; raises ProtocolError."""
    found: dict[TopicPartition, FoundOffset] = {}

    async def attempt() -> None:
        missing = {key: time for key, time in times.items() if key not in found}
        cluster = await client.topics({topic for topic, _ in missing}, timeout_ms=timeout_ms)
        by_node: dict[int, dict[TopicPartition, int]] = {}
        for key, time in missing.items():
            leader = cluster.leader(*key)
            if leader is None:
                raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{key[0]}-{key[1]} does not exist")
            by_node.setdefault(leader, {})[key] = time
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(_ask_leader(client, node, wanted, isolation, channel))
                for node, wanted in by_node.items()
            ]
        problem: Exception | None = None
        for task in asked:
            answers, error = task.result()
            found.update(answers)
            problem = problem or error
        if problem is not None:
            raise problem

    if times:
        await client.retrying("ListOffsets", attempt, timeout_ms=timeout_ms)
    return found


async def _ask_leader(
    client: ClusterLink, node: int, wanted: Mapping[TopicPartition, int], isolation: int, channel: str
) -> tuple[dict[TopicPartition, FoundOffset], Exception | None]:
    """What one leader answers, and the first error; an error is a value here, so that other leaders count."""
    partition = ListOffsetsRequest.ListOffsetsPartition
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=isolation,
        topics=[
            ListOffsetsRequest.ListOffsetsTopic(
                name=topic,
                partitions=[partition(partition_index=number, timestamp=time) for number, time in times.items()],
            )
            for topic, times in values_by_topic(wanted).items()
        ],
        timeout_ms=client.config.request_timeout_ms,
    )
    try:
        connection = await client.node(node, channel)
        response = await connection.send(request)
    except (Retriable, ProtocolError, WireError) as error:
        return {}, error
    found: dict[TopicPartition, FoundOffset] = {}
    problem: Exception | None = None
    for topic in response.topics:
        for item in topic.partitions:
            if item.error_code != ErrorCode.NONE:
                problem = error_for(item.error_code, f"offsets of {topic.name}-{item.partition_index}")
                continue
            found[topic.name, item.partition_index] = FoundOffset(item.offset, item.timestamp, item.leader_epoch)
    return found, problem


async def fetch_committed(
    client: ClusterLink,
    group_id: str,
    partitions: Collection[TopicPartition] | None,
    *,
    require_stable: bool = False,
    channel: str = MAIN,
    timeout_ms: int | None = None,
) -> dict[TopicPartition, CommittedOffset]:
    """A group's committed offsets: of these partitions (those without one are left out), or all (None)."""
    wanted = None
    if partitions is not None:
        wanted = [
            OffsetFetchRequest.OffsetFetchRequestTopics(name=topic, partition_indexes=numbers)
            for topic, numbers in by_topic(partitions).items()
        ]
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group_id, topics=wanted)],
        require_stable=require_stable,
    )

    async def attempt() -> dict[TopicPartition, CommittedOffset]:
        response = await client.ask_coordinator(
            GROUP, group_id, request, channel=channel, codes=group_codes, timeout_ms=timeout_ms
        )
        group = response.groups[0]
        check(group.error_code, f"committed offsets of group {group_id!r}")
        found = {}
        for topic in group.topics:
            for item in topic.partitions:
                check(
                    item.error_code, f"committed offset of group {group_id!r} for {topic.name}-{item.partition_index}"
                )
                if item.committed_offset >= 0:
                    found[topic.name, item.partition_index] = CommittedOffset(
                        item.committed_offset, item.committed_leader_epoch, item.metadata or ""
                    )
        return found

    return await client.retrying("OffsetFetch", attempt, timeout_ms=timeout_ms)


def group_codes(response: Any) -> list[int]:
    """Of a response about several groups."""
    return [group.error_code for group in response.groups]
