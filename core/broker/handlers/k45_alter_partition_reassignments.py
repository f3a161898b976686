"""AlterPartitionReassignments, versions 0 and 1: on the one broker that there is, every partition is where it may be.
Shell.

To be moved to where it is, is granted at once; any other place is refused, and no move is ever under way that could be
cancelled. Version 1 added the bit that allows another number of replicas (KIP-1156).
Source: ReplicationControlManager.alterPartitionReassignments of Kafka 4.3.1. Tested in
tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.topic_rules import brokers_fault
from ...errors import ErrorCode
from ...wire.messages.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
)
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 1)
Response = AlterPartitionReassignmentsResponse


def start(
    broker: "Broker",
    request: AlterPartitionReassignmentsRequest,
    context: RequestContext,  # noqa: ARG001
) -> AlterPartitionReassignmentsResponse:
    """An answer for each partition that was named."""
    return Response(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_message=None,
        responses=[
            Response.ReassignableTopicResponse(
                name=topic.name,
                partitions=[_answer(broker, topic.name, partition) for partition in topic.partitions],
            )
            for topic in request.topics
        ],
    )


def _answer(
    broker: "Broker", topic: str, wanted: AlterPartitionReassignmentsRequest.ReassignablePartition
) -> Response.ReassignablePartitionResponse:
    code, message = _outcome(broker, topic, wanted)
    return Response.ReassignablePartitionResponse(
        partition_index=wanted.partition_index, error_code=int(code), error_message=message
    )


def _outcome(
    broker: "Broker", topic: str, wanted: AlterPartitionReassignmentsRequest.ReassignablePartition
) -> tuple[ErrorCode, str | None]:
    known = broker.cluster.topic(topic)
    if known is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {topic}."
    if not known.has_partition(wanted.partition_index):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {topic}:{wanted.partition_index}."
    if wanted.replicas is None:
        return ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, f"{topic}-{wanted.partition_index} is not being moved"
    fault = brokers_fault(wanted.replicas, broker.cluster.node_id)
    return (fault.code, fault.message) if fault is not None else (ErrorCode.NONE, None)
