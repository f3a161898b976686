"""AddPartitionsToTxn, versions 0 to 5: a producer is about to write to these partitions in its transaction. Shell.

Version 2 added the code PRODUCER_FENCED. From 4 on brokers ask each other with it for many transactions at once, to add
partitions that producers of the second protocol write to, or only to verify them (KIP-890); here they are answered to
whoever asks. Source: KafkaApis.handleAddPartitionsToTxnRequest of Kafka 4.3.1. Tested in
tests/interop/test_answers_like_kafka.py and test_transactions_like_kafka.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import AddPartitions
from ...coordinators.transaction_records import SECOND_PROTOCOL, Partition
from ...errors import ErrorCode
from ...wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from ..context import RequestContext
from ..coordination.producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 5)
FENCED_SINCE = 2
MANY_SINCE = 4
Topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
Transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
TopicResult = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
PartitionResult = AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult


async def handle(
    broker: "Broker", request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    """Of one transaction all partitions are added, or none."""
    if context.api_version >= MANY_SINCE:
        return AddPartitionsToTxnResponse(
            results_by_transaction=[await _one_of_many(broker, one) for one in request.transactions]
        )
    wanted = _partitions(request.v3_and_below_topics)
    codes = _refused(broker, wanted)
    if codes is None:
        reply = await broker.transactions.ask(
            AddPartitions(
                request.v3_and_below_transactional_id,
                request.v3_and_below_producer_id,
                request.v3_and_below_producer_epoch,
                frozenset(wanted),
            )
        )
        codes = dict.fromkeys(wanted, for_version(reply.code, context.api_version, FENCED_SINCE))
    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=_results(request.v3_and_below_topics, codes))


async def _one_of_many(broker: "Broker", one: Transaction) -> AddPartitionsToTxnResponse.AddPartitionsToTxnResult:
    wanted = _partitions(one.topics)
    codes = _refused(broker, wanted)
    if codes is None and one.verify_only:
        codes = {
            where: broker.transactions.write_fault(one.transactional_id, one.producer_id, one.producer_epoch, where)
            if one.transactional_id
            else ErrorCode.INVALID_REQUEST
            for where in wanted
        }
    elif codes is None:
        reply = await broker.transactions.ask(
            AddPartitions(one.transactional_id, one.producer_id, one.producer_epoch, frozenset(wanted), SECOND_PROTOCOL)
        )
        codes = dict.fromkeys(wanted, reply.code)
    return AddPartitionsToTxnResponse.AddPartitionsToTxnResult(
        transactional_id=one.transactional_id, topic_results=_results(one.topics, codes)
    )


def _partitions(topics: Sequence[Topic]) -> list[Partition]:
    return [(topic.name, partition) for topic in topics for partition in topic.partitions]


def _refused(broker: "Broker", wanted: Sequence[Partition]) -> dict[Partition, ErrorCode] | None:
    """None where all partitions are there."""
    unknown = {where for where in wanted if not _exists(broker, where)}
    if not unknown:
        return None
    return {
        where: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if where in unknown else ErrorCode.OPERATION_NOT_ATTEMPTED
        for where in wanted
    }


def _exists(broker: "Broker", where: Partition) -> bool:
    topic = broker.cluster.topic(where[0])
    return topic is not None and 0 <= where[1] < topic.partitions


def _results(topics: Sequence[Topic], codes: dict[Partition, ErrorCode]) -> list[TopicResult]:
    return [
        TopicResult(
            name=topic.name,
            results_by_partition=[
                PartitionResult(partition_index=index, partition_error_code=int(codes[topic.name, index]))
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]
