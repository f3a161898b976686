"""IncrementalAlterConfigs, versions 0 and 1: single settings of a resource are set, taken back, or edited where they
are lists. Shell.

The versions differ in their encoding only. Source: KIP-339; ControllerApis.handleIncrementalAlterConfigs of Kafka
4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import ConfigChange, ConfigOperation
from ...errors import ErrorCode, ProtocolError
from ...wire.messages.k44_incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from ..context import RequestContext
from ..settings.config_resources import altered

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 1)
OPERATIONS = frozenset(ConfigOperation)


async def handle(
    broker: "Broker",
    request: IncrementalAlterConfigsRequest,
    context: RequestContext,  # noqa: ARG001
) -> IncrementalAlterConfigsResponse:
    """Each resource is changed as a whole, or not at all."""
    response = IncrementalAlterConfigsResponse()
    changes = altered(broker.cluster, request.resources, _changes, replace=False, validate_only=request.validate_only)
    async for resource, code, message in changes:
        response.responses.append(
            IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                error_code=int(code),
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return response


def _changes(resource: IncrementalAlterConfigsRequest.AlterConfigsResource) -> list[ConfigChange]:
    """Raises ProtocolError INVALID_REQUEST for operations that are not known."""
    unknown = sorted({config.config_operation for config in resource.configs} - OPERATIONS)
    if unknown:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"operations {unknown} are not known; 0 to 3 are")
    return [
        ConfigChange(config.name, ConfigOperation(config.config_operation), config.value) for config in resource.configs
    ]
