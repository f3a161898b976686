"""OffsetCommit, versions 2 to 10: a group's offsets are stored, each answered for itself. Shell.

Versions 2 to 4 may ask for a retention, 6 added the leader epoch, 7 static members (KIP-345), 9 GROUP_ID_NOT_FOUND for
a group that is not there, 10 names topics by id. The member epochs of KIP-848 groups are left out.
Source: KafkaApis.handleOffsetCommitRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import CommitOffsets
from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitResponse
from ..context import RequestContext
from ..coordination.offset_commits import OffsetCommits

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (2, 10)
GROUP_NOT_FOUND_SINCE = 9
TOPIC_IDS_SINCE = 10


def start(
    broker: "Broker", request: OffsetCommitRequest, context: RequestContext
) -> "OffsetCommitResponse | asyncio.Future[OffsetCommitResponse]":
    """The future ends when the offsets are on disk."""
    response = OffsetCommitResponse()
    commits = _checked(broker, request, response, by_id=context.api_version >= TOPIC_IDS_SINCE)
    if not commits.entries:
        return response
    command = CommitOffsets(
        group_id=request.group_id,
        generation=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        entries=tuple(commits.entries),
        retention_ms=request.retention_time_ms,
        knows_group_not_found=context.api_version >= GROUP_NOT_FOUND_SINCE,
    )
    try:
        return broker.groups.ask(command, request.group_id, commits.filled)
    except ProtocolError as error:
        return commits.refused(error.code)


def _checked(
    broker: "Broker", request: OffsetCommitRequest, response: OffsetCommitResponse, *, by_id: bool
) -> OffsetCommits[OffsetCommitResponse]:
    commits = OffsetCommits(response)
    for topic in request.topics:
        known = broker.cluster.topic_by_id(topic.topic_id) if by_id else broker.cluster.topic(topic.name)
        missing = ErrorCode.UNKNOWN_TOPIC_ID if by_id and known is None else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        parts = [
            OffsetCommitResponse.OffsetCommitResponsePartition(partition_index=part.partition_index)
            for part in topic.partitions
        ]
        commits.add(known, zip(topic.partitions, parts, strict=True), topic_id=topic.topic_id, missing=missing)
        response.topics.append(
            OffsetCommitResponse.OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id, partitions=parts)
        )
    return commits
