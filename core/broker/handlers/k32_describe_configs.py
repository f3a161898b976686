"""DescribeConfigs, versions 1 to 4: settings of topics and of this broker, with where each comes from. Shell; views:
config_views.py.

Version 1 added the sources (KIP-226), 3 types and documentation. Groups and client metrics are refused.
Source: ConfigHelper.handleDescribeConfigsRequest of Kafka 4.3.1. Tested in tests/interop/test_answers_like_kafka.py.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import ResourceType
from ...coordinators.topic_rules import missing_topic_fault
from ...errors import ProtocolError
from ...wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResponse
from ..context import RequestContext
from ..monitoring.logger_levels import logger_levels
from ..settings.config_resources import check_broker_name, check_logger_resource, check_served
from ..settings.config_views import BROKER_LOGGER, ConfigView, broker_views, cluster_views, topic_views, wanted
from ..settings.topic_settings import EVERY_BROKER

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (1, 4)
TYPES_SINCE = 3
Result = DescribeConfigsResponse.DescribeConfigsResult


def start(broker: "Broker", request: DescribeConfigsRequest, context: RequestContext) -> DescribeConfigsResponse:
    """One result for each resource."""
    return DescribeConfigsResponse(
        results=[_result(broker, resource, request, context.api_version) for resource in request.resources]
    )


def _result(
    broker: "Broker",
    resource: DescribeConfigsRequest.DescribeConfigsResource,
    request: DescribeConfigsRequest,
    api_version: int,
) -> Result:
    result = Result(resource_type=resource.resource_type, resource_name=resource.resource_name)
    try:
        if resource.resource_type == ResourceType.BROKER_LOGGER:
            check_logger_resource(resource.resource_name, broker.cluster.node_id)
            result.configs = _levels(resource.configuration_keys)
            return result
        views = wanted(_views(broker, resource), resource.configuration_keys)
    except ProtocolError as error:
        result.error_code = int(error.code)
        result.error_message = error.message
        return result
    result.configs = [_entry(view, request, api_version) for view in views]
    return result


def _views(broker: "Broker", resource: DescribeConfigsRequest.DescribeConfigsResource) -> Iterable[ConfigView]:
    check_served(resource.resource_type)
    name, static = resource.resource_name, broker.cluster.static_config
    if resource.resource_type == ResourceType.BROKER:
        check_broker_name(name, broker.cluster.node_id)
        return cluster_views(broker.cluster) if name == EVERY_BROKER else broker_views(broker.cluster, static)
    topic = broker.cluster.topic(name)
    if topic is None:
        raise missing_topic_fault(name).error()
    return topic_views(broker.cluster, static, topic)


def _levels(keys: Collection[str] | None) -> list[DescribeConfigsResponse.DescribeConfigsResourceResult]:
    """As Kafka without types and synonyms."""
    return [
        DescribeConfigsResponse.DescribeConfigsResourceResult(name=name, value=level, config_source=BROKER_LOGGER)
        for name, level in logger_levels().items()
        if not keys or name in keys
    ]


def _entry(
    view: ConfigView, request: DescribeConfigsRequest, api_version: int
) -> DescribeConfigsResponse.DescribeConfigsResourceResult:
    entry = DescribeConfigsResponse.DescribeConfigsResourceResult(
        name=view.name,
        value=view.value,
        read_only=view.read_only,
        config_source=view.source,
        is_sensitive=view.field.secret,
    )
    if request.include_synonyms:
        entry.synonyms = [
            DescribeConfigsResponse.DescribeConfigsSynonym(
                name=source.name, value=None if view.field.secret else source.value, source=source.source
            )
            for source in view.synonyms
        ]
    if api_version >= TYPES_SINCE:
        entry.config_type = view.kind
        entry.documentation = (view.field.doc or None) if request.include_documentation else None
    return entry
