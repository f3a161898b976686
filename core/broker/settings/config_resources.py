"""Changes of settings as both generations of the protocol ask for them. Shell.

Tested in tests/interop/test_answers_like_kafka.py.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...coordinators.cluster_commands import AlterConfigs, ConfigChange, ResourceType
from ...coordinators.config_changes import shortened
from ...errors import ErrorCode, ProtocolError, StorageError
from ..monitoring.logger_levels import change_levels
from ..topics.cluster import ClusterShell
from .topic_settings import EVERY_BROKER

LOG = logging.getLogger(__name__)
BETWEEN_TURNS = 50
SERVED = (ResourceType.TOPIC, ResourceType.BROKER)


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What a request asks for one resource."""

    resource_type: int
    resource_name: str
    changes: Sequence[ConfigChange]


def check_served(resource_type: int) -> None:
    """Raises ProtocolError INVALID_REQUEST for resources whose settings are not kept here."""
    if resource_type not in SERVED:
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"resource type {resource_type} is not served; 2 (topic) and 4 (broker) are"
        )


def check_broker_name(name: str, node_id: int) -> None:
    """Raises ProtocolError INVALID_REQUEST unless it is this broker's number, or empty for all brokers."""
    if name not in (EVERY_BROKER, str(node_id)):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"broker {name!r} is not here; use {node_id}, or '' for all")


async def alter(
    cluster: ClusterShell, resources: Sequence[ResourceChange], *, replace: bool, validate_only: bool
) -> list[tuple[ErrorCode, str | None]]:
    """Changes each resource on its own; an error code and a message for each."""
    counts = Counter((resource.resource_type, resource.resource_name) for resource in resources)
    outcomes: list[tuple[ErrorCode, str | None]] = []
    for number, resource in enumerate(resources, 1):
        if number % BETWEEN_TURNS == 0:
            await asyncio.sleep(0)  # What is refused waits for nothing: of very many, others get their turn.
        try:
            if counts[resource.resource_type, resource.resource_name] > 1:
                raise ProtocolError(ErrorCode.INVALID_REQUEST, f"{resource.resource_name!r} is named twice")
            await _alter_one(cluster, resource, replace, validate_only)
        except ProtocolError as error:
            outcomes.append((error.code, shortened(error.message)))
        except StorageError as error:
            LOG.error("the settings of %r are not changed: %s", resource.resource_name, error)
            outcomes.append((ErrorCode.KAFKA_STORAGE_ERROR, str(error)))
        else:
            outcomes.append((ErrorCode.NONE, None))
    return outcomes


def check_logger_resource(name: str, node_id: int) -> None:
    """Raises ProtocolError INVALID_REQUEST unless it is this broker's number: loggers belong to one process."""
    if name != str(node_id):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"broker {name!r} is not here; use {node_id}")


async def _alter_one(cluster: ClusterShell, resource: ResourceChange, replace: bool, validate_only: bool) -> None:
    if resource.resource_type == ResourceType.BROKER_LOGGER and not replace:
        check_logger_resource(resource.resource_name, cluster.node_id)
        change_levels(resource.changes, validate_only=validate_only)
        return
    check_served(resource.resource_type)
    if resource.resource_type == ResourceType.BROKER:
        check_broker_name(resource.resource_name, cluster.node_id)
    command = AlterConfigs(resource.resource_type, resource.resource_name, resource.changes, replace)
    await cluster.alter_configs(command, validate_only=validate_only)
