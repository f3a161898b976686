"""TxnOffsetCommit, versions 0 to 5: a group's offsets, to be stored when the producer's transaction commits. Shell.

Version 2 added the leader epoch, 3 the group's member and generation, by which a zombie is fenced (KIP-447), 4 the code
TRANSACTION_ABORTABLE. From 5 on the group's partition joins the transaction by this request (KIP-890).
Source: KafkaApis.handleTxnOffsetCommitRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py and
tests/interop/test_transactions_like_kafka.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.group_commands import CommitOffsets
from ...coordinators.transaction_commands import AddPartitions
from ...coordinators.transaction_records import SECOND_PROTOCOL
from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from ..context import RequestContext
from ..coordination.internal_topics import OFFSETS_TOPIC
from ..coordination.offset_commits import OffsetCommits
from ..coordination.producer_errors import OFFSETS_JOIN_SINCE, for_offsets
from ..coordination.transaction_joins import follow

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)


def start(
    broker: "Broker", request: TxnOffsetCommitRequest, context: RequestContext
) -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
    """The future ends when the offsets are on disk, pending until the transaction ends."""
    response = TxnOffsetCommitResponse()
    commits = _checked(broker, request, response)
    if not commits.entries:
        return response
    where = (OFFSETS_TOPIC, broker.groups.partition_for(request.group_id))

    def commit() -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
        fault = broker.transactions.write_fault(
            request.transactional_id, request.producer_id, request.producer_epoch, where
        )
        if fault:
            return commits.refused(for_offsets(fault, context.api_version))
        return _commit(broker, request, commits)

    if context.api_version < OFFSETS_JOIN_SINCE:
        return commit()
    done: asyncio.Future[TxnOffsetCommitResponse] = asyncio.get_running_loop().create_future()

    def joined(code: ErrorCode) -> None:
        follow(done, commits.refused(for_offsets(code, context.api_version)) if code else commit())

    command = AddPartitions(
        request.transactional_id, request.producer_id, request.producer_epoch, frozenset({where}), SECOND_PROTOCOL
    )
    broker.transactions.join(command, joined)
    return done


def _commit(
    broker: "Broker", request: TxnOffsetCommitRequest, commits: OffsetCommits[TxnOffsetCommitResponse]
) -> "TxnOffsetCommitResponse | asyncio.Future[TxnOffsetCommitResponse]":
    command = CommitOffsets(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        entries=tuple(commits.entries),
        producer_id=request.producer_id,
    )
    try:
        return broker.groups.ask(command, request.group_id, commits.filled, producer_epoch=request.producer_epoch)
    except ProtocolError as error:
        return commits.refused(error.code)


def _checked(
    broker: "Broker", request: TxnOffsetCommitRequest, response: TxnOffsetCommitResponse
) -> OffsetCommits[TxnOffsetCommitResponse]:
    commits = OffsetCommits(response)
    for topic in request.topics:
        parts = [
            TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition(partition_index=part.partition_index)
            for part in topic.partitions
        ]
        commits.add(broker.cluster.topic(topic.name), zip(topic.partitions, parts, strict=True))
        response.topics.append(TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(name=topic.name, partitions=parts))
    return commits
