"""Changes of settings as both generations of the protocol ask for them. Shell.

Tested in tests/interop/test_answers_like_kafka.py.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeVar

from ...coordinators.cluster_commands import AlterConfigs, ConfigChange, ResourceType
from ...coordinators.config_changes import shortened
from ...coordinators.topic_rules import MAX_SETTINGS, many_settings_fault
from ...errors import ErrorCode, ProtocolError, StorageError
from ..monitoring.logger_levels import change_levels
from ..topics.cluster import ClusterShell
from ..turns import in_turns, named_again
from .topic_settings import EVERY_BROKER

LOG = logging.getLogger(__name__)
BETWEEN_TURNS = 50
SERVED = (ResourceType.TOPIC, ResourceType.BROKER)


class Resource(Protocol):
    """What a request asks for one resource."""

    resource_type: int
    resource_name: str

    @property
    def configs(self) -> Sequence[Any]: ...


Asked = TypeVar("Asked", bound=Resource)


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


async def altered(
    cluster: ClusterShell,
    resources: Sequence[Asked],
    changes_of: Callable[[Asked], Sequence[ConfigChange]],
    *,
    replace: bool,
    validate_only: bool,
) -> AsyncIterator[tuple[Asked, ErrorCode, str | None]]:
    """Changes each resource on its own; with an error code and a message for each. changes_of may raise ProtocolError.

    What is refused waits for nothing: of very many, others get their turn.
    """
    again = await named_again(resources, lambda one: (one.resource_type, one.resource_name))
    async for some in in_turns(resources, BETWEEN_TURNS):
        for resource in some:
            code, message = ErrorCode.NONE, None
            try:
                if (resource.resource_type, resource.resource_name) in again:
                    raise ProtocolError(ErrorCode.INVALID_REQUEST, f"{resource.resource_name!r} is named twice")
                _check_count(resource)
                await _alter_one(cluster, resource, changes_of(resource), replace, validate_only)
            except ProtocolError as error:
                code, message = error.code, shortened(error.message)
            except StorageError as error:
                LOG.error("the settings of %r are not changed: %s", resource.resource_name, error)
                code, message = ErrorCode.KAFKA_STORAGE_ERROR, str(error)
            yield resource, code, message


def _check_count(resource: Resource) -> None:
    """Raises ProtocolError where so many settings are named that they need not be looked at one by one."""
    if len(resource.configs) > MAX_SETTINGS:
        fault = many_settings_fault(resource.resource_name, len(resource.configs))
        code = fault.code if resource.resource_type == ResourceType.BROKER else ErrorCode.INVALID_CONFIG
        raise ProtocolError(code, fault.message)


def check_logger_resource(name: str, node_id: int) -> None:
    """Raises ProtocolError INVALID_REQUEST unless it is this broker's number: loggers belong to one process."""
    if name != str(node_id):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"broker {name!r} is not here; use {node_id}")


async def _alter_one(
    cluster: ClusterShell, resource: Resource, changes: Sequence[ConfigChange], replace: bool, validate_only: bool
) -> None:
    if resource.resource_type == ResourceType.BROKER_LOGGER and not replace:
        check_logger_resource(resource.resource_name, cluster.node_id)
        change_levels(changes, validate_only=validate_only)
        return
    check_served(resource.resource_type)
    if resource.resource_type == ResourceType.TOPIC and not resource.resource_name:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "a topic has a name; there are no settings of all topics")
    if resource.resource_type == ResourceType.BROKER:
        check_broker_name(resource.resource_name, cluster.node_id)
    command = AlterConfigs(resource.resource_type, resource.resource_name, changes, replace)
    await cluster.alter_configs(command, validate_only=validate_only)
