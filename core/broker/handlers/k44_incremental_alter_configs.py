"""IncrementalAlterConfigs, versions 0 and 1: single settings of a resource are set, taken back, or edited where they
are lists. Shell.

The versions differ in their encoding only. Source: KIP-339; ControllerApis.handleIncrementalAlterConfigs of Kafka
4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import ConfigChange, ConfigOperation
from ...errors import ErrorCode
from ...wire.messages.k44_incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from ..context import RequestContext
from ..settings.config_resources import ResourceChange, alter

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (0, 1)
OPERATIONS = frozenset(ConfigOperation)
Resource = IncrementalAlterConfigsRequest.AlterConfigsResource


async def handle(
    broker: "Broker",
    request: IncrementalAlterConfigsRequest,
    context: RequestContext,  # noqa: ARG001
) -> IncrementalAlterConfigsResponse:
    """Each resource is changed as a whole, or not at all."""
    known = [resource for resource in request.resources if not _unknown_operations(resource)]
    changes = [ResourceChange(one.resource_type, one.resource_name, _changes(one.configs)) for one in known]
    outcomes = iter(await alter(broker.cluster, changes, replace=False, validate_only=request.validate_only))
    responses = []
    for resource in request.resources:
        unknown = _unknown_operations(resource)
        refusal = (ErrorCode.INVALID_REQUEST, f"operations {unknown} are not known; 0 to 3 are")
        code, message = refusal if unknown else next(outcomes)
        responses.append(
            IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                error_code=int(code),
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return IncrementalAlterConfigsResponse(responses=responses)


def _unknown_operations(resource: Resource) -> list[int]:
    return sorted({config.config_operation for config in resource.configs} - OPERATIONS)


def _changes(configs: Sequence[IncrementalAlterConfigsRequest.AlterableConfig]) -> list[ConfigChange]:
    return [ConfigChange(config.name, ConfigOperation(config.config_operation), config.value) for config in configs]
