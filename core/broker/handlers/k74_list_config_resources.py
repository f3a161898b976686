"""ListConfigResources, versions 0 and 1: what has settings here: topics and this broker. Shell.

Version 0 asked for client metrics only, of which there are none. Source: KIP-1142, KafkaApis of
Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import ResourceType
from ...errors import ErrorCode
from ...wire.messages.k74_list_config_resources import ListConfigResourcesRequest, ListConfigResourcesResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 1)
TYPES_SINCE = 1
ALL = frozenset(ResourceType)
Resource = ListConfigResourcesResponse.ConfigResource


def start(
    broker: "Broker", request: ListConfigResourcesRequest, context: RequestContext
) -> ListConfigResourcesResponse:
    """Those of the types that were asked for, or of all."""
    if context.api_version < TYPES_SINCE:
        return ListConfigResourcesResponse()
    wanted = set(request.resource_types) or ALL
    if wanted - ALL:
        return ListConfigResourcesResponse(error_code=int(ErrorCode.UNSUPPORTED_VERSION))
    found = []
    if ResourceType.TOPIC in wanted:
        found += [Resource(resource_name=one.name, resource_type=ResourceType.TOPIC) for one in broker.cluster.topics()]
    for kind in (ResourceType.BROKER, ResourceType.BROKER_LOGGER):
        if kind in wanted:
            found.append(Resource(resource_name=str(broker.cluster.node_id), resource_type=kind))
    return ListConfigResourcesResponse(config_resources=found)
