"""CreateTopics, versions 2 to 7: new topics with their logs, or the check of whether they could be. Shell.

Version 4 made -1 stand for the broker's defaults, 5 added the settings to the answer (KIP-525), 7 the topic id.
Source: ControllerApis.createTopics of Kafka 4.3.1. Tested in tests/core/broker/test_topic_handlers.py.
"""

import asyncio
from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import Fault, NewTopic, TopicInfo
from ...coordinators.config_changes import shortened
from ...errors import ErrorCode
from ...wire.messages.k19_create_topics import CreateTopicsRequest, CreateTopicsResponse
from ..context import RequestContext
from ..settings.config_views import topic_views
from ..topics.metadata_changes import answers_of

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (2, 7)
SETTINGS_SINCE = 5
BETWEEN_TURNS = 20
"""Topics that are described before others get their turn."""
TOPIC_IDS_SINCE = 7
Result = CreateTopicsResponse.CreatableTopicResult


async def handle(broker: "Broker", request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    """The topics that may be are there, and on disk; one that is named twice has one result."""
    topics = [_new(topic) for topic in request.topics]
    change = broker.cluster.create_topics(topics, validate_only=request.validate_only)
    answers = await answers_of(change, len(topics))
    results: dict[str, Result] = {}
    for number, (topic, answer) in enumerate(zip(request.topics, answers, strict=True), 1):
        if number % BETWEEN_TURNS == 0:
            await asyncio.sleep(0)
        if isinstance(answer, Fault):
            result = Result(name=topic.name, error_code=int(answer.code), error_message=shortened(answer.message))
        else:
            result = _result(broker, answer, context.api_version)
        results[topic.name] = result
    return CreateTopicsResponse(topics=list(results.values()))


def _new(topic: CreateTopicsRequest.CreatableTopic) -> NewTopic:
    return NewTopic(
        name=topic.name,
        partitions=topic.num_partitions,
        replication_factor=topic.replication_factor,
        configs={config.name: config.value for config in topic.configs},
        assignments=[(one.partition_index, one.broker_ids) for one in topic.assignments],
    )


def _result(broker: "Broker", topic: TopicInfo, api_version: int) -> Result:
    result = Result(name=topic.name, error_code=int(ErrorCode.NONE), error_message=None)
    if api_version >= SETTINGS_SINCE:
        result.num_partitions = topic.partitions
        result.replication_factor = 1
        result.configs = [
            CreateTopicsResponse.CreatableTopicConfigs(
                name=view.name, value=view.value, read_only=view.read_only, config_source=view.source
            )
            for view in topic_views(broker.cluster, broker.cluster.static_config, topic)
        ]
    if api_version >= TOPIC_IDS_SINCE:
        result.topic_id = topic.topic_id
    return result
