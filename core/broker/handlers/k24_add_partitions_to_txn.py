"""AddPartitionsToTxn: a producer is about to write to these partitions in its transaction. Shell.

Version 2 added the code PRODUCER_FENCED. Left out: versions 4 and 5, by which brokers ask each other for many
transactions at once. Source: KafkaApis.handleAddPartitionsToTxnRequest of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.transaction_commands import AddPartitions
from ...coordinators.transaction_records import Partition
from ...errors import ErrorCode
from ...wire.messages.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from ..context import RequestContext
from ..producer_errors import for_version

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 3)
FENCED_SINCE = 2
PartitionResult = AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult


async def handle(
    broker: "Broker", request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    """All partitions are in the transaction, or none."""
    wanted = [(topic.name, partition) for topic in request.v3_and_below_topics for partition in topic.partitions]
    unknown = {where for where in wanted if not _exists(broker, where)}
    if unknown:
        return _response(
            request,
            {
                where: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if where in unknown else ErrorCode.OPERATION_NOT_ATTEMPTED
                for where in wanted
            },
        )
    reply = await broker.transactions.ask(
        AddPartitions(
            request.v3_and_below_transactional_id,
            request.v3_and_below_producer_id,
            request.v3_and_below_producer_epoch,
            frozenset(wanted),
        )
    )
    code = for_version(reply.code, context.api_version, FENCED_SINCE)
    return _response(request, dict.fromkeys(wanted, code))


def _exists(broker: "Broker", where: Partition) -> bool:
    topic = broker.cluster.topic(where[0])
    return topic is not None and 0 <= where[1] < topic.partitions


def _response(request: AddPartitionsToTxnRequest, codes: dict[Partition, ErrorCode]) -> AddPartitionsToTxnResponse:
    return AddPartitionsToTxnResponse(
        results_by_topic_v3_and_below=[
            AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult(
                name=topic.name,
                results_by_partition=[
                    PartitionResult(partition_index=index, partition_error_code=int(codes[topic.name, index]))
                    for index in topic.partitions
                ],
            )
            for topic in request.v3_and_below_topics
        ]
    )
