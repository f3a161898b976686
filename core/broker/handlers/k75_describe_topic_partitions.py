"""DescribeTopicPartitions, version 0: topics and their partitions in pages, by name. Shell.

Source: KIP-966, DescribeTopicPartitionsRequestHandler of Kafka 4.3.1.
Tested in tests/interop/test_answers_like_kafka.py.
"""

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...coordinators.topic_rules import missing_topic_fault
from ...errors import ErrorCode
from ...wire.messages.k75_describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
)
from ..authorized import TOPIC_OPERATIONS
from ..context import RequestContext
from ..data_plane.leadership import LEADER_EPOCH, replicas_of
from ..turns import AT_ONCE, in_turns

if TYPE_CHECKING:
    from ...coordinators.cluster_commands import TopicInfo
    from ..broker import Broker

VERSIONS = (0, 0)
PAGE_LIMIT = 2_000
Wanted = DescribeTopicPartitionsRequest.TopicRequest
TopicAnswer = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic
PartitionAnswer = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition


async def handle(
    broker: "Broker",
    request: DescribeTopicPartitionsRequest,
    context: RequestContext,  # noqa: ARG001
) -> DescribeTopicPartitionsResponse:
    """One page, and where the next one begins; for a wrong cursor INVALID_REQUEST for each topic."""
    cursor = request.cursor
    if cursor is not None and (cursor.partition_index < 0 or _leaves_out(request.topics, cursor.topic_name)):
        wrong = int(ErrorCode.INVALID_REQUEST)
        return DescribeTopicPartitionsResponse(
            topics=[TopicAnswer(error_code=wrong, name=topic.name) for topic in request.topics]
        )
    first = 0 if cursor is None else cursor.partition_index
    room = max(min(request.response_partition_limit, PAGE_LIMIT), 1)
    response = DescribeTopicPartitionsResponse()
    names = await _names(request.topics or broker.cluster.topics(), "" if cursor is None else cursor.topic_name)
    for number, name in enumerate(names, 1):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        begin = first if cursor is not None and name == cursor.topic_name else 0
        topic = broker.cluster.topic(name)
        if topic is None and not request.topics:
            continue  # It was there when its turn was far.
        if topic is None:
            response.topics.append(TopicAnswer(error_code=int(missing_topic_fault(name).code), name=name))
            continue
        if room <= 0:
            response.next_cursor = _cursor(name, begin)
            break
        end = min(topic.partitions, begin + room)
        response.topics.append(_known(broker, topic, begin, end))
        room -= max(end - begin, 0)
        if end < topic.partitions:
            response.next_cursor = _cursor(name, end)
            break
    return response


def _cursor(name: str, partition: int) -> DescribeTopicPartitionsResponse.Cursor:
    return DescribeTopicPartitionsResponse.Cursor(topic_name=name, partition_index=partition)


def _leaves_out(topics: "Sequence[Wanted]", name: str) -> bool:
    """Whether topics are named, and this one is none of them."""
    return bool(topics) and all(topic.name != name for topic in topics)


async def _names(topics: "Sequence[Wanted | TopicInfo]", first: str) -> Iterable[str]:
    """Each name once and in order, from `first` on: sorted in parts, as the whole may be long."""
    parts = []
    async for some in in_turns(topics, 10 * AT_ONCE):
        parts.append(sorted({topic.name for topic in some if topic.name >= first}))
    return (name for name, _ in itertools.groupby(heapq.merge(*parts)))


def _known(broker: "Broker", topic: "TopicInfo", begin: int, end: int) -> TopicAnswer:
    return TopicAnswer(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.internal,
        partitions=[
            _partition(broker.cluster.node_id, index, offline=broker.is_offline(topic.name, index))
            for index in range(begin, end)
        ],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _partition(node_id: int, index: int, *, offline: bool) -> PartitionAnswer:
    replicas = replicas_of(node_id, offline=offline)
    return PartitionAnswer(
        partition_index=index,
        leader_id=replicas.leader_id,
        leader_epoch=LEADER_EPOCH,
        replica_nodes=[node_id],
        isr_nodes=replicas.in_sync,
        eligible_leader_replicas=replicas.offline,
        last_known_elr=replicas.offline,
        offline_replicas=replicas.offline,
    )
