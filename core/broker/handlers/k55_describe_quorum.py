"""DescribeQuorum, versions 0 to 2: the metadata's log has one voter, this broker, which leads it. Shell.

Version 1 added times and messages, 2 directories and where the voters listen.
Source: KIP-595, KafkaRaftClient.handleDescribeQuorumRequest of Kafka 4.3.1. Tested in
tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.topic_rules import METADATA_TOPIC
from ...errors import ErrorCode
from ...log.file_names import parse_uuid
from ...wire.messages.k55_describe_quorum import DescribeQuorumRequest, DescribeQuorumResponse
from ..context import RequestContext
from ..data_plane.leadership import LEADER_EPOCH

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)
TIMES_SINCE, NODES_SINCE = 1, 2
Response = DescribeQuorumResponse


def start(broker: "Broker", request: DescribeQuorumRequest, context: RequestContext) -> DescribeQuorumResponse:
    """The one voter; an error for every other log."""
    response = Response(error_message=None)
    for topic in request.topics:
        parts = [
            _partition(broker, topic.topic_name, one.partition_index, context.api_version) for one in topic.partitions
        ]
        response.topics.append(Response.TopicData(topic_name=topic.topic_name, partitions=parts))
    if context.api_version >= NODES_SINCE:
        host, port = broker.address_for(context)
        listener = Response.Listener(name=context.listener, host=host, port=port)
        response.nodes = [Response.Node(node_id=broker.cluster.node_id, listeners=[listener])]
    return response


def _partition(broker: "Broker", topic: str, partition: int, api_version: int) -> Response.PartitionData:
    if (topic, partition) != (METADATA_TOPIC, 0):
        return Response.PartitionData(
            partition_index=partition,
            error_code=int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            error_message=f"{topic}-{partition} has no quorum; {METADATA_TOPIC}-0 has",
        )
    log = broker.logs.get((METADATA_TOPIC, 0))
    assert log is not None, f"a broker without {METADATA_TOPIC}-0"
    voter = Response.ReplicaState(replica_id=broker.cluster.node_id, log_end_offset=log.end_offset)
    if api_version >= TIMES_SINCE:
        voter.last_fetch_timestamp = voter.last_caught_up_timestamp = broker.clock.now_ms()
    if api_version >= NODES_SINCE and broker.logs.directory_id:
        voter.replica_directory_id = parse_uuid(broker.logs.directory_id)
    return Response.PartitionData(
        partition_index=partition,
        error_code=int(ErrorCode.NONE),
        error_message=None,
        leader_id=broker.cluster.node_id,
        leader_epoch=LEADER_EPOCH,
        high_watermark=log.high_watermark,
        current_voters=[voter],
        observers=[],
    )
