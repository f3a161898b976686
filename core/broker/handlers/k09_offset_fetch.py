"""OffsetFetch, versions 1 to 10: the offsets that groups have committed. Shell.

Version 2 added all topics at once (null), 5 the leader epoch, 7 `require_stable` (KIP-447), 8 several groups, 10 names
topics by id. The member epochs of version 9, for KIP-848 groups, are not looked at.
Source: KafkaApis.handleOffsetFetchRequest of Kafka 4.3.1. Tested in tests/core/broker/test_offset_handlers.py.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ...coordinators.group_offsets import CommittedOffset
from ...coordinators.groups import GroupCoordinator
from ...errors import ErrorCode, ProtocolError
from ...wire.message import ZERO_UUID
from ...wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from ..context import RequestContext

if TYPE_CHECKING:
    from ..broker import Broker

VERSIONS = (1, 10)
SEVERAL_GROUPS_SINCE = 8
TOPIC_IDS_SINCE = 10
NOT_COMMITTED = CommittedOffset(-1, -1, "", -1, -1, ZERO_UUID, -1)


class Topic(NamedTuple):
    """A topic asked about; without a name it is not known."""

    name: str | None
    topic_id: bytes
    partitions: Iterable[int]


class Part(NamedTuple):
    """The answer for one partition."""

    partition: int
    offset: int
    leader_epoch: int
    metadata: str
    error: ErrorCode


def start(
    broker: "Broker", request: OffsetFetchRequest, context: RequestContext
) -> "OffsetFetchResponse | asyncio.Future[OffsetFetchResponse]":
    """The future ends when what is told is on disk."""
    if context.api_version < SEVERAL_GROUPS_SINCE:
        groups = [request.group_id]
        response = _one_group(broker, request)
    else:
        groups = [group.group_id for group in request.groups]
        by_id = context.api_version >= TOPIC_IDS_SINCE
        response = OffsetFetchResponse(
            groups=[
                _group(broker, group, require_stable=request.require_stable, by_id=by_id) for group in request.groups
            ]
        )
    return broker.groups.after_commit(groups, response)


def _one_group(broker: "Broker", request: OffsetFetchRequest) -> OffsetFetchResponse:
    coordinator = broker.groups.coordinator_of(request.group_id)
    if request.topics is None:
        topics = _all_topics(broker, coordinator, request.group_id, by_id=False)
    else:
        topics = [Topic(topic.name, ZERO_UUID, topic.partition_indexes) for topic in request.topics]
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponse.OffsetFetchResponseTopic(
                name=topic.name or "",
                partitions=[
                    OffsetFetchResponse.OffsetFetchResponsePartition(
                        partition_index=part.partition,
                        committed_offset=part.offset,
                        committed_leader_epoch=part.leader_epoch,
                        metadata=part.metadata,
                        error_code=int(part.error),
                    )
                    for part in _parts(coordinator, request.group_id, topic, require_stable=request.require_stable)
                ],
            )
            for topic in topics
        ]
    )


def _group(
    broker: "Broker", asked: OffsetFetchRequest.OffsetFetchRequestGroup, *, require_stable: bool, by_id: bool
) -> OffsetFetchResponse.OffsetFetchResponseGroup:
    answer = OffsetFetchResponse.OffsetFetchResponseGroup(group_id=asked.group_id)
    try:
        coordinator = broker.groups.coordinator_of(asked.group_id)
    except ProtocolError as error:
        answer.error_code = int(error.code)
        return answer
    if asked.topics is None:
        topics = _all_topics(broker, coordinator, asked.group_id, by_id=by_id)
    else:
        topics = [_topic(broker, topic, by_id=by_id) for topic in asked.topics]
    for topic in topics:
        parts = [
            OffsetFetchResponse.OffsetFetchResponsePartitions(
                partition_index=part.partition,
                committed_offset=part.offset,
                committed_leader_epoch=part.leader_epoch,
                metadata=part.metadata,
                error_code=int(part.error),
            )
            for part in _parts(coordinator, asked.group_id, topic, require_stable=require_stable)
        ]
        answer.topics.append(
            OffsetFetchResponse.OffsetFetchResponseTopics(
                name=topic.name or "", topic_id=topic.topic_id, partitions=parts
            )
        )
    return answer


def _topic(broker: "Broker", asked: OffsetFetchRequest.OffsetFetchRequestTopics, *, by_id: bool) -> Topic:
    name: str | None = asked.name
    if by_id:
        known = broker.cluster.topic_by_id(asked.topic_id)
        name = None if known is None else known.name
    return Topic(name, asked.topic_id, asked.partition_indexes)


def _all_topics(broker: "Broker", coordinator: GroupCoordinator, group_id: str, *, by_id: bool) -> list[Topic]:
    """All that the group has committed; asked for by id, without topics that are not there any more."""
    partitions: dict[str, list[int]] = {}
    for name, partition in coordinator.committed(group_id):
        partitions.setdefault(name, []).append(partition)
    if not by_id:
        return [Topic(name, ZERO_UUID, found) for name, found in partitions.items()]
    known = [(broker.cluster.topic(name), found) for name, found in partitions.items()]
    return [Topic(topic.name, topic.topic_id, found) for topic, found in known if topic is not None]


def _parts(coordinator: GroupCoordinator, group_id: str, topic: Topic, *, require_stable: bool) -> list[Part]:
    committed = coordinator.committed(group_id)
    parts = []
    for partition in topic.partitions:
        offset, error = NOT_COMMITTED, ErrorCode.NONE
        if topic.name is None:
            error = ErrorCode.UNKNOWN_TOPIC_ID
        elif require_stable and coordinator.unstable(group_id, (topic.name, partition)):
            error = ErrorCode.UNSTABLE_OFFSET_COMMIT
        else:
            offset = committed.get((topic.name, partition), NOT_COMMITTED)
        parts.append(Part(partition, offset.offset, offset.leader_epoch, offset.metadata, error))
    return parts
