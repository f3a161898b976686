"""TxnOffsetCommit, versions 0 to 5: a group's offsets, to be stored when the producer's transaction commits. Shell.

Version 2 added the leader epoch, 3 the group's member and generation, by which a zombie is fenced (KIP-447), 4 the code
TRANSACTION_ABORTABLE. From 5 on the group's partition joins the transaction by this request (KIP-890).
Source: KafkaApis.handleTxnOffsetCommitRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py and
tests/interop/test_transactions_like_kafka.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import CommitOffsets, OffsetEntry, PartsReply
from ...coordinators.transaction_commands import AddPartitions
from ...coordinators.transaction_records import SECOND_PROTOCOL
from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from ..context import RequestContext
from ..coordination.internal_topics import OFFSETS_TOPIC
from ..coordination.producer_errors import OFFSETS_JOIN_SINCE, for_offsets
from ..coordination.transaction_joins import follow

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
PartitionAnswer = TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition


def start(
    broker: "Broker", request: TxnOffsetCommitRequest, context: RequestContext
) -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
    """The future ends when the offsets are on disk, pending until the transaction ends."""
    entries, answers, response = _checked(broker, request)
    if not entries:
        return response

    def commit() -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
        fault = broker.transactions.write_fault(
            request.transactional_id, request.producer_id, request.producer_epoch, where
        )
        if fault:
            return _refused(response, answers, for_offsets(fault, context.api_version))
        return _commit(broker, request, entries, answers, response)

    where = (OFFSETS_TOPIC, broker.groups.partition_for(request.group_id))
    if context.api_version < OFFSETS_JOIN_SINCE:
        return commit()
    done: asyncio.Future[TxnOffsetCommitResponse] = asyncio.get_running_loop().create_future()

    def joined(code: ErrorCode) -> None:
        try:
            outcome = _refused(response, answers, for_offsets(code, context.api_version)) if code else commit()
        except ProtocolError as error:
            outcome = _refused(response, answers, error.code)
        follow(done, outcome)

    command = AddPartitions(
        request.transactional_id, request.producer_id, request.producer_epoch, frozenset({where}), SECOND_PROTOCOL
    )
    broker.transactions.join(command, joined)
    return done


def _commit(
    broker: "Broker",
    request: TxnOffsetCommitRequest,
    entries: list[OffsetEntry],
    answers: list[PartitionAnswer],
    response: TxnOffsetCommitResponse,
) -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
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


def _refused(
    response: TxnOffsetCommitResponse, answers: list[PartitionAnswer], code: ErrorCode
) -> TxnOffsetCommitResponse:
    for answer in answers:
        answer.error_code = int(code)
    return response


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
