"""TxnOffsetCommit: a group's offsets, to be stored when the producer's transaction commits. Shell.

Version 2 added the leader epoch, 3 the group's member and generation, by which a zombie is fenced (KIP-447). Version 5,
which adds the group to the transaction by itself (KIP-890), is left out with the rest of that protocol.
Source: KafkaApis.handleTxnOffsetCommitRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import CommitOffsets, OffsetEntry, PartsReply
from ...errors import ErrorCode
from ...wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from ..context import RequestContext
from ..internal_topics import OFFSETS_TOPIC

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 4)
CLIENT_CODES = {
    # What producers of the first protocol generation understand in this answer.
    ErrorCode.PRODUCER_FENCED: ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.CONCURRENT_TRANSACTIONS: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
}
PartitionAnswer = TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition


def start(
    broker: "Broker",
    request: TxnOffsetCommitRequest,
    context: RequestContext,  # noqa: ARG001
) -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
    """The future ends when the offsets are on disk, pending until the transaction ends."""
    entries, answers, response = _checked(broker, request)
    if not entries:
        return response
    where = (OFFSETS_TOPIC, broker.groups.partition_for(request.group_id))
    fault = broker.transactions.write_fault(
        request.transactional_id, request.producer_id, request.producer_epoch, where
    )
    if fault:
        for answer in answers:
            answer.error_code = int(CLIENT_CODES.get(fault, fault))
        return response
    command = CommitOffsets(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        entries=tuple(entries),
        producer_id=request.producer_id,
    )

    def filled(reply: PartsReply) -> TxnOffsetCommitResponse:
        errors = reply.parts or (reply.error,) * len(answers)
        for answer, error in zip(answers, errors, strict=True):
            answer.error_code = int(error)
        return response

    return broker.groups.ask(command, request.group_id, filled, producer_epoch=request.producer_epoch)


def _checked(
    broker: "Broker", request: TxnOffsetCommitRequest
) -> tuple[list[OffsetEntry], list[PartitionAnswer], TxnOffsetCommitResponse]:
    """What may be stored, where each of these is answered, and a response that refuses the others."""
    entries: list[OffsetEntry] = []
    answers: list[PartitionAnswer] = []
    response = TxnOffsetCommitResponse()
    for topic in request.topics:
        known = broker.cluster.topic(topic.name)
        topic_answer = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(name=topic.name)
        response.topics.append(topic_answer)
        for part in topic.partitions:
            answer = PartitionAnswer(partition_index=part.partition_index)
            topic_answer.partitions.append(answer)
            if known is None or not 0 <= part.partition_index < known.partitions:
                answer.error_code = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                continue
            answers.append(answer)
            entries.append(
                OffsetEntry(
                    topic=topic.name,
                    partition=part.partition_index,
                    offset=part.committed_offset,
                    leader_epoch=part.committed_leader_epoch,
                    metadata=part.committed_metadata or "",
                )
            )
    return entries, answers, response
