"""DescribeProducers, version 0: the producers that a partition remembers, with their open transactions. Shell.

Source: ReplicaManager.activeProducerState of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...errors import ProtocolError
from ...wire.messages.k61_describe_producers import DescribeProducersRequest, DescribeProducersResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 0)
Answer = DescribeProducersResponse.PartitionResponse


def start(
    broker: "Broker",
    request: DescribeProducersRequest,
    context: RequestContext,  # noqa: ARG001
) -> DescribeProducersResponse:
    """One answer for each partition."""
    return DescribeProducersResponse(
        topics=[
            DescribeProducersResponse.TopicResponse(
                name=topic.name, partitions=[_answer(broker, topic.name, index) for index in topic.partition_indexes]
            )
            for topic in request.topics
        ]
    )


def _answer(broker: "Broker", topic: str, partition: int) -> Answer:
    try:
        log = broker.online_partition(topic, partition)
    except ProtocolError as error:
        return Answer(
            partition_index=partition,
            error_code=int(error.code),
            error_message=error.message,
        )
    return Answer(
        partition_index=partition,
        active_producers=[
            DescribeProducersResponse.ProducerState(
                producer_id=producer.producer_id,
                producer_epoch=producer.epoch,
                last_sequence=producer.last_sequence,
                last_timestamp=producer.last_timestamp_ms,
                coordinator_epoch=producer.coordinator_epoch,
                current_txn_start_offset=producer.transaction_start,
            )
            for producer in log.active_producers()
        ],
    )
