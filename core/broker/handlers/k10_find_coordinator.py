"""FindCoordinator, versions 0 to 6: who coordinates a group or a transactional id; here it is always this broker.
Shell.

Version 1 added transactional ids, 4 several keys at once (KIP-699), 6 share groups, which are not served.
Source: KafkaApis.handleFindCoordinatorRequest of Kafka 4.3.1. Tested in tests/core/broker/test_group_handlers.py.
"""

from typing import TYPE_CHECKING

from ...errors import ErrorCode
from ...wire.messages.k10_find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 6)
SEVERAL_KEYS_SINCE = 4
GROUP, TRANSACTION = 0, 1
NO_NODE = -1


def start(broker: "Broker", request: FindCoordinatorRequest, context: RequestContext) -> FindCoordinatorResponse:
    """This broker under the address that the client can reach."""
    error, message = ErrorCode.NONE, "NONE" if context.api_version < SEVERAL_KEYS_SINCE else ""
    if request.key_type not in (GROUP, TRANSACTION):
        error, message = (
            ErrorCode.INVALID_REQUEST,
            f"key type {request.key_type} is not served; 0 (group) and 1 (transaction) are",
        )
    host, port = broker.address_for(context)
    node_id = broker.cluster.node_id
    if error:
        host, port, node_id = "", NO_NODE, NO_NODE
    if context.api_version < SEVERAL_KEYS_SINCE:
        return FindCoordinatorResponse(
            error_code=int(error), error_message=message, node_id=node_id, host=host, port=port
        )
    return FindCoordinatorResponse(
        coordinators=[
            FindCoordinatorResponse.Coordinator(
                key=key, node_id=node_id, host=host, port=port, error_code=int(error), error_message=message
            )
            for key in request.coordinator_keys
        ]
    )
