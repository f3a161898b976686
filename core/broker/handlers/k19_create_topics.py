"""CreateTopics, versions 2 to 7: new topics with their logs, or the check of whether they could be. Shell.

Version 4 made -1 stand for the broker's defaults, 5 added the settings to the answer (KIP-525), 7 the topic id.
Source: ControllerApis.createTopics of Kafka 4.3.1. Tested in tests/core/broker/test_topic_handlers.py.
"""

import asyncio
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING

from ...coordinators.cluster_commands import Fault, NewTopic, TopicInfo
from ...coordinators.config_changes import shortened
from ...coordinators.topic_rules import (
    MAX_SETTINGS,
    many_partitions_fault,
    many_settings_fault,
    named_twice_fault,
    wanted_partitions,
)
from ...errors import ErrorCode
from ...wire.messages.k19_create_topics import CreateTopicsRequest, CreateTopicsResponse
from ..context import RequestContext
from ..settings.config_views import topic_views
from ..topics.metadata_changes import answers_of
from ..turns import in_turns, named_again

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (2, 7)
SETTINGS_SINCE = 5
BETWEEN_TURNS = 20
"""Topics that are described before others get their turn."""
TOPIC_IDS_SINCE = 7
Result = CreateTopicsResponse.CreatableTopicResult
NewTopicRequest = CreateTopicsRequest.CreatableTopic


async def handle(broker: "Broker", request: CreateTopicsRequest, context: RequestContext) -> CreateTopicsResponse:
    """The topics that may be are there, and on disk; one that is named twice has one result."""
    again = await named_again(request.topics, lambda topic: topic.name)
    fault = many_partitions_fault(await _partitions(broker, request.topics, again))
    results: dict[str, Result] = {}
    async for some in in_turns(request.topics):
        refused = {topic.name: fault or _fault(topic) for topic in some if topic.name not in again}
        refused |= {topic.name: fault or named_twice_fault(topic.name) for topic in some if topic.name in again}
        wanted = [_new(topic) for topic in some if refused[topic.name] is None]
        change = broker.cluster.create_topics(wanted, validate_only=request.validate_only)
        answers = iter(await answers_of(change, len(wanted)))
        for number, topic in enumerate(some, 1):
            if number % BETWEEN_TURNS == 0:
                await asyncio.sleep(0)
            results[topic.name] = _result(broker, topic.name, refused[topic.name] or next(answers), context.api_version)
    return CreateTopicsResponse(topics=list(results.values()))


async def _partitions(broker: "Broker", topics: Sequence[NewTopicRequest], again: Collection[Hashable]) -> int:
    """How many there would be."""
    total = 0
    async for some in in_turns(topics):
        total += sum(
            wanted_partitions(topic.num_partitions, len(topic.assignments), broker.config.num_partitions)
            for topic in some
            if topic.name not in again
        )
    return total


def _fault(topic: NewTopicRequest) -> Fault | None:
    """What need not be looked at any closer."""
    if len(topic.configs) <= MAX_SETTINGS:
        return None
    return many_settings_fault(topic.name, len(topic.configs))


def _new(topic: NewTopicRequest) -> NewTopic:
    return NewTopic(
        name=topic.name,
        partitions=topic.num_partitions,
        replication_factor=topic.replication_factor,
        configs={config.name: config.value for config in topic.configs},
        assignments=[(one.partition_index, one.broker_ids) for one in topic.assignments],
    )


def _result(broker: "Broker", name: str, topic: TopicInfo | Fault, api_version: int) -> Result:
    if isinstance(topic, Fault):
        return Result(name=name, error_code=int(topic.code), error_message=shortened(topic.message))
    result = Result(name=name, error_code=int(ErrorCode.NONE), error_message=None)
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
