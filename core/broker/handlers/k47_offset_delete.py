"""OffsetDelete, version 0: offsets of a group are removed, but not in topics that its members read (KIP-496). Shell.

Source: KafkaApis.handleOffsetDeleteRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import DeleteOffsets, PartsReply
from ...errors import ErrorCode
from ...wire.messages.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 0)
PartitionAnswer = OffsetDeleteResponse.OffsetDeleteResponsePartition


def start(
    broker: "Broker",
    request: OffsetDeleteRequest,
    context: RequestContext,  # noqa: ARG001
) -> "OffsetDeleteResponse | asyncio.Future[OffsetDeleteResponse]":
    """The future ends when the offsets are gone from the disk's point of view too."""
    if not request.group_id:
        return OffsetDeleteResponse(error_code=int(ErrorCode.INVALID_GROUP_ID))
    partitions: list[tuple[str, int]] = []
    answers: list[PartitionAnswer] = []
    response = OffsetDeleteResponse()
    for topic in request.topics:
        known = broker.cluster.topic(topic.name)
        topic_answer = OffsetDeleteResponse.OffsetDeleteResponseTopic(name=topic.name)
        response.topics.append(topic_answer)
        for part in topic.partitions:
            answer = PartitionAnswer(partition_index=part.partition_index)
            topic_answer.partitions.append(answer)
            if known is None or not known.has_partition(part.partition_index):
                answer.error_code = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                continue
            answers.append(answer)
            partitions.append((topic.name, part.partition_index))

    def filled(reply: PartsReply) -> OffsetDeleteResponse:
        if reply.error:
            return OffsetDeleteResponse(error_code=int(reply.error))
        for answer, error in zip(answers, reply.parts, strict=True):
            answer.error_code = int(error)
        return response

    return broker.groups.ask(DeleteOffsets(request.group_id, tuple(partitions)), request.group_id, filled)
