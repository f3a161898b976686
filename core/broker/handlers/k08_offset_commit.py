"""OffsetCommit, versions 2 to 10: a group's offsets are stored, each answered for itself. Shell.

Versions 2 to 4 may ask for a retention, 6 added the leader epoch, 7 static members (KIP-345), 9 GROUP_ID_NOT_FOUND for
a group that is not there, 10 names topics by id. The member epochs of KIP-848 groups are left out.
Source: KafkaApis.handleOffsetCommitRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import CommitOffsets, OffsetEntry, PartsReply
from ...errors import ErrorCode
from ...wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (2, 10)
GROUP_NOT_FOUND_SINCE = 9
TOPIC_IDS_SINCE = 10
PartitionAnswer = OffsetCommitResponse.OffsetCommitResponsePartition


def start(
    broker: "Broker", request: OffsetCommitRequest, context: RequestContext
) -> "OffsetCommitResponse | asyncio.Future[OffsetCommitResponse]":
    """The future ends when the offsets are on disk."""
    entries, answers, response = _checked(broker, request, by_id=context.api_version >= TOPIC_IDS_SINCE)
    if not entries:
        return response
    command = CommitOffsets(
        group_id=request.group_id,
        generation=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        entries=tuple(entries),
        retention_ms=request.retention_time_ms,
        knows_group_not_found=context.api_version >= GROUP_NOT_FOUND_SINCE,
    )

    def filled(reply: PartsReply) -> OffsetCommitResponse:
        errors = reply.parts or (reply.error,) * len(answers)
        for answer, error in zip(answers, errors, strict=True):
            answer.error_code = int(error)
        return response

    return broker.groups.ask(command, request.group_id, filled)


def _checked(
    broker: "Broker", request: OffsetCommitRequest, *, by_id: bool
) -> tuple[list[OffsetEntry], list[PartitionAnswer], OffsetCommitResponse]:
    """What may be stored, where each of these is answered, and a response that refuses the others."""
    entries: list[OffsetEntry] = []
    answers: list[PartitionAnswer] = []
    response = OffsetCommitResponse()
    for topic in request.topics:
        known = broker.cluster.topic_by_id(topic.topic_id) if by_id else broker.cluster.topic(topic.name)
        missing = ErrorCode.UNKNOWN_TOPIC_ID if by_id and known is None else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        topic_answer = OffsetCommitResponse.OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id)
        response.topics.append(topic_answer)
        for part in topic.partitions:
            answer = PartitionAnswer(partition_index=part.partition_index)
            topic_answer.partitions.append(answer)
            if known is None or not 0 <= part.partition_index < known.partitions:
                answer.error_code = int(missing)
                continue
            answers.append(answer)
            entries.append(
                OffsetEntry(
                    topic=known.name,
                    partition=part.partition_index,
                    offset=part.committed_offset,
                    leader_epoch=part.committed_leader_epoch,
                    metadata=part.committed_metadata or "",
                    topic_id=topic.topic_id,
                )
            )
    return entries, answers, response
