"""What admins do to members and offsets of groups, and how far groups are behind, in records and in time. Shell.

Source: LeaveGroup (KIP-345), OffsetDelete (KIP-496), ListOffsets by timestamp (KIP-734 for the newest).
Tests: tests/core/client/test_lag.py, test_groups.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ...errors import ErrorCode
from ...wire.messages.k13_leave_group import LeaveGroupRequest
from ...wire.messages.k47_offset_delete import OffsetDeleteRequest
from ..config import consumer_config
from ..consuming.consumer import Consumer
from ..consuming.offset_lookup import EARLIEST, LATEST, list_offsets
from ..consuming.offsets import TopicPartition, by_topic
from ..link import GROUP, ClusterLink
from ..network.connection import raise_first

MAX_TIMESTAMP = -3
PEEK = {
    # One batch of each partition is enough.
    "max.partition.fetch.bytes": 64 * 1024,
    "fetch.max.bytes": 4 << 20,
    "auto.offset.reset": "earliest",
}


@dataclass(frozen=True, slots=True)
class Lag:
    """Where a group stands in one partition. Times are those of records, in ms; None where there is no such record."""

    committed: int | None
    begin: int
    end: int
    next_ms: int | None = None
    """Of the first record that the group has not read."""
    newest_ms: int | None = None
    """The latest that any record of the partition has."""

    @property
    def records(self) -> int | None:
        """As Kafka's tools count: offsets up to the end, markers of transactions among them."""
        return None if self.committed is None else self.end - self.committed

    @property
    def time_ms(self) -> int | None:
        """How far the next record to read lies behind the newest one; 0 when all is read, None when that is unknown."""
        if self.committed is None:
            return None
        if self.committed >= self.end or self.next_ms is None:
            return 0
        return None if self.newest_ms is None or self.next_ms < 0 else max(0, self.newest_ms - self.next_ms)


async def measure_lag(
    client: ClusterLink, committed: Mapping[TopicPartition, int], partitions: Collection[TopicPartition]
) -> dict[TopicPartition, Lag]:
    """How far behind these committed offsets are; partitions without one are told with their ends only."""
    ends = await list_offsets(client, dict.fromkeys(partitions, LATEST))
    begins = await list_offsets(client, dict.fromkeys(partitions, EARLIEST))
    behind = {key: offset for key, offset in committed.items() if key in ends and offset < ends[key].offset}
    newest = await list_offsets(client, dict.fromkeys(behind, MAX_TIMESTAMP))
    times = await _next_times(client, behind, {key: ends[key].offset for key in behind})
    return {
        key: Lag(
            committed.get(key),
            begins[key].offset,
            ends[key].offset,
            times.get(key),
            newest[key].timestamp_ms if key in newest and newest[key].offset >= 0 else None,
        )
        for key in partitions
    }


async def _next_times(
    client: ClusterLink, offsets: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The timestamp of the first record at or after each offset; without those that have none before their end."""
    found: dict[TopicPartition, int] = {}
    left = dict(offsets)
    async with Consumer(client, consumer_config(PEEK)) as consumer:
        consumer.assign(left)
        while left:
            for records in await consumer.poll(100):
                key = (records.topic, records.partition)
                if key in left and records.num_rows:
                    if records.first_offset < ends[key]:
                        found[key] = next(records.slice(0, 1).rows()).timestamp_ms
                    del left[key]
            for key in list(left):
                if await consumer.position(key) >= ends[key]:  # Only markers, or what compaction has left out.
                    del left[key]
            consumer.assign(dict.fromkeys(left))
    return found


async def delete_group_offsets(client: ClusterLink, group_id: str, partitions: Collection[TopicPartition]) -> None:
    """Delete committed offsets of a group, in topics that its members do not read.

    Raises the first failure as ProtocolError (GROUP_SUBSCRIBED_TO_TOPIC, GROUP_ID_NOT_FOUND, ...), the others as notes.
    """
    partition = OffsetDeleteRequest.OffsetDeleteRequestPartition
    request = OffsetDeleteRequest(
        group_id=group_id,
        topics=[
            OffsetDeleteRequest.OffsetDeleteRequestTopic(
                name=topic, partitions=[partition(partition_index=number) for number in numbers]
            )
            for topic, numbers in by_topic(partitions).items()
        ],
    )
    response = await client.ask_coordinator(GROUP, group_id, request)
    failures = [(response.error_code, f"group {group_id!r}")]
    failures += [
        (item.error_code, f"offset of group {group_id!r} for {topic.name}-{item.partition_index}")
        for topic in response.topics
        for item in topic.partitions
    ]
    raise_first(failures)


async def remove_static_members(
    client: ClusterLink, group_id: str, instance_ids: Collection[str], *, reason: str
) -> None:
    """Take members out of a group by their group.instance.id; one that is not there any more is no error.

    Raises the first failure, the others as notes.
    """
    identity = LeaveGroupRequest.MemberIdentity
    members = [identity(group_instance_id=instance_id, reason=reason) for instance_id in sorted(instance_ids)]
    response = await client.ask_coordinator(GROUP, group_id, LeaveGroupRequest(group_id=group_id, members=members))
    failures = [(response.error_code, f"group {group_id!r}")]
    failures += [
        (member.error_code, f"member {member.group_instance_id!r} of group {group_id!r}")
        for member in response.members
        if member.error_code != ErrorCode.UNKNOWN_MEMBER_ID
    ]
    raise_first(failures)
