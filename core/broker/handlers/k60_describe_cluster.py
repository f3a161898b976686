"""DescribeCluster, versions 0 to 2: the one broker there is, and the cluster's id. Shell.

Version 1 added controllers to be asked for (KIP-919), 2 fenced brokers (KIP-1073); there are none of either.
Source: KafkaApis.handleDescribeCluster of Kafka 4.3.1. Tested in tests/core/broker/test_metadata.py.
"""

from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k60_describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from ..authorized import CLUSTER_OPERATIONS, NOT_ASKED
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)
BROKERS, CONTROLLERS = 1, 2


def start(broker: "Broker", request: DescribeClusterRequest, context: RequestContext) -> DescribeClusterResponse:
    """This broker under the address that the client can reach."""
    if context.api_version >= 1 and request.endpoint_type != BROKERS:
        known = request.endpoint_type == CONTROLLERS
        return DescribeClusterResponse(
            error_code=int(ErrorCode.MISMATCHED_ENDPOINT_TYPE if known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
            error_message="this is a broker, not a controller"
            if known
            else f"endpoint type {request.endpoint_type} is not known; 1 (brokers) is served",
            endpoint_type=BROKERS,
        )
    host, port = broker.address_for(context)
    return DescribeClusterResponse(
        cluster_id=broker.cluster.cluster_id,
        controller_id=broker.cluster.node_id,
        brokers=[DescribeClusterResponse.DescribeClusterBroker(broker_id=broker.cluster.node_id, host=host, port=port)],
        cluster_authorized_operations=CLUSTER_OPERATIONS
        if request.include_cluster_authorized_operations
        else NOT_ASKED,
    )
