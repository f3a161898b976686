"""AlterConfigs, versions 0 to 2: the settings of a resource are these, and all others go back to their defaults. Shell.

Kept for old clients; newer ones use IncrementalAlterConfigs. The versions differ in quotas and encoding only.
Source: ControllerApis.handleLegacyAlterConfigs of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import ConfigChange, ConfigOperation
from ...wire.messages.k33_alter_configs import AlterConfigsRequest, AlterConfigsResponse
from ..context import RequestContext
from ..settings.config_resources import altered

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 2)


async def handle(
    broker: "Broker",
    request: AlterConfigsRequest,
    context: RequestContext,  # noqa: ARG001
) -> AlterConfigsResponse:
    """Each resource is changed as a whole, or not at all."""
    response = AlterConfigsResponse()
    changes = altered(broker.cluster, request.resources, _changes, replace=True, validate_only=request.validate_only)
    async for resource, code, message in changes:
        response.responses.append(
            AlterConfigsResponse.AlterConfigsResourceResponse(
                error_code=int(code),
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return response


def _changes(resource: AlterConfigsRequest.AlterConfigsResource) -> list[ConfigChange]:
    return [ConfigChange(config.name, ConfigOperation.SET, config.value) for config in resource.configs]
