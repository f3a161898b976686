"""Committing a group's offsets. Shell.

Source: OffsetCommit; KIP-345. Tests: tests/core/client/test_consumer.py, test_groups.py.
"""

from typing import Any

from ...errors import ErrorCode
from ...wire.messages.k08_offset_commit import OffsetCommitRequest
from ..link import GROUP, ClusterLink
from ..network.connection import error_for
from .offsets import GroupMetadata, Offsets, as_committed, values_by_topic


async def commit_offsets(client: ClusterLink, group: GroupMetadata, offsets: Offsets) -> None:
    """Commit offsets, as a member or (generation -1) for a group without members. Raises ProtocolError and Fenced."""
    partition = OffsetCommitRequest.OffsetCommitRequestPartition
    committed = {key: as_committed(value) for key, value in offsets.items()}
    request = OffsetCommitRequest(
        group_id=group.group_id,
        generation_id_or_member_epoch=group.generation,
        member_id=group.member_id,
        group_instance_id=group.instance_id,
        topics=[
            OffsetCommitRequest.OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    partition(
                        partition_index=number,
                        committed_offset=value.offset,
                        committed_leader_epoch=value.leader_epoch,
                        committed_metadata=value.metadata,
                    )
                    for number, value in numbers.items()
                ],
            )
            for topic, numbers in values_by_topic(committed).items()
        ],
    )

    async def attempt() -> None:
        response = await client.ask_coordinator(GROUP, group.group_id, request, codes=_codes)
        for topic in response.topics:
            for item in topic.partitions:
                if item.error_code != ErrorCode.NONE:
                    where = f"{topic.name}-{item.partition_index}"
                    raise error_for(item.error_code, f"commit of {where} for group {group.group_id!r}")

    if offsets:
        await client.retrying("OffsetCommit", attempt)


def _codes(response: Any) -> list[int]:
    return [item.error_code for topic in response.topics for item in topic.partitions]
