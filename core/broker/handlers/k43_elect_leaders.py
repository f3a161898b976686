"""ElectLeaders, versions 0 to 2: every partition is led by its only replica, so that no election is ever needed. Shell.

Version 1 added unclean elections and an error for all of it (KIP-460).
Source: ReplicationControlManager.electLeaders of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k43_elect_leaders import ElectLeadersRequest, ElectLeadersResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)
ELECTION_TYPES = (0, 1)


def start(
    broker: "Broker",
    request: ElectLeadersRequest,
    context: RequestContext,  # noqa: ARG001
) -> ElectLeadersResponse:
    """A result for each partition that was named; none where all were meant."""
    refused = request.election_type not in ELECTION_TYPES
    return ElectLeadersResponse(
        error_code=int(ErrorCode.INVALID_REQUEST if refused else ErrorCode.NONE),
        replica_election_results=[
            ElectLeadersResponse.ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[
                    _result(broker, topic.topic, partition, request.election_type) for partition in topic.partitions
                ],
            )
            for topic in request.topic_partitions or ()
        ],
    )


def _result(broker: "Broker", topic: str, partition: int, election_type: int) -> ElectLeadersResponse.PartitionResult:
    known = broker.cluster.topic(topic)
    if election_type not in ELECTION_TYPES:
        code, message = ErrorCode.INVALID_REQUEST, f"election type {election_type}; 0 (preferred) and 1 (unclean) are"
    elif known is None or not known.has_partition(partition):
        missing = f"No such topic as {topic}" if known is None else f"No such partition as {topic}-{partition}"
        code, message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, missing
    else:
        code, message = ErrorCode.ELECTION_NOT_NEEDED, f"broker {broker.cluster.node_id} leads {topic}-{partition}"
    return ElectLeadersResponse.PartitionResult(partition_id=partition, error_code=int(code), error_message=message)
