"""Metadata, versions 0 to 13: this broker, and topics with their partitions, created on the way where that is asked
for and allowed. Shell.

As on Kafka, the answer that creates a topic still calls it unknown, and the next one has it: who only looks whether a
topic is gone does not find it. As there, nobody leads a partition whose log is offline; its leader epoch stays.
4 made creation optional, 8 brought authorized operations, 10 and 12 topic ids, 13 an error for all of it.
Source: KafkaApis.handleTopicMetadataRequest of Kafka 4.3.1. Tested in tests/core/broker/test_metadata.py.
"""

import logging
from typing import TYPE_CHECKING

from ...coordinators.topic_rules import missing_topic_fault
from ...errors import ErrorCode, ProtocolError, StorageError
from ...wire.message import ZERO_UUID
from ...wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from ..authorized import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from ..context import RequestContext
from ..data_plane.leadership import LEADER_EPOCH, replicas_of

if TYPE_CHECKING:
    from ...coordinators.cluster_commands import TopicInfo
    from ..broker import Broker

LOG = logging.getLogger(__name__)
VERSIONS = (0, 13)
MAY_FORBID_CREATION_SINCE = 4
TOPIC_IDS_SINCE = 12
TopicAnswer = MetadataResponse.MetadataResponseTopic
PartitionAnswer = MetadataResponse.MetadataResponsePartition


async def handle(broker: "Broker", request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    """All topics for null (and, in version 0, for an empty list), else those asked for by name or id, each once."""
    cluster = broker.cluster
    if request.topics is None or (context.api_version == 0 and not request.topics):
        topics = [_known(broker, topic) for topic in cluster.topics()]
    else:
        named = {(wanted.name, wanted.topic_id): wanted for wanted in request.topics}
        topics = [await _one(broker, wanted, request, context) for wanted in named.values()]
    if request.include_topic_authorized_operations:
        for topic in topics:
            topic.topic_authorized_operations = TOPIC_OPERATIONS
    host, port = broker.address_for(context)
    return MetadataResponse(
        brokers=[MetadataResponse.MetadataResponseBroker(node_id=cluster.node_id, host=host, port=port)],
        cluster_id=cluster.cluster_id,
        controller_id=cluster.node_id,
        topics=topics,
        cluster_authorized_operations=CLUSTER_OPERATIONS
        if request.include_cluster_authorized_operations
        else NOT_ASKED,
    )


async def _one(
    broker: "Broker", wanted: MetadataRequest.MetadataRequestTopic, request: MetadataRequest, context: RequestContext
) -> TopicAnswer:
    cluster = broker.cluster
    if context.api_version < TOPIC_IDS_SINCE and (wanted.name is None or wanted.topic_id != ZERO_UUID):
        # The field is there since version 10, its meaning came later.
        return TopicAnswer(error_code=int(ErrorCode.INVALID_REQUEST), name=wanted.name or "", topic_id=wanted.topic_id)
    if wanted.name is None or wanted.topic_id != ZERO_UUID:
        topic = cluster.topic_by_id(wanted.topic_id)
        if topic is None:
            return TopicAnswer(error_code=int(ErrorCode.UNKNOWN_TOPIC_ID), name=None, topic_id=wanted.topic_id)
        return _known(broker, topic)
    topic = cluster.topic(wanted.name)
    may_create = request.allow_auto_topic_creation or context.api_version < MAY_FORBID_CREATION_SINCE
    if topic is None and may_create and broker.config.auto_create_topics_enable:
        try:
            await _create(broker, wanted.name)
        except ProtocolError as error:
            return TopicAnswer(error_code=int(error.code), name=wanted.name)
        except StorageError as error:
            LOG.error("topic %s cannot be made: %s", wanted.name, error)
            return TopicAnswer(error_code=int(ErrorCode.KAFKA_STORAGE_ERROR), name=wanted.name)
    if topic is None:
        return TopicAnswer(error_code=int(missing_topic_fault(wanted.name).code), name=wanted.name)
    return _known(broker, topic)


async def _create(broker: "Broker", name: str) -> None:
    try:
        await broker.cluster.create_topic(name, broker.config.num_partitions, {})
    except ProtocolError as error:
        if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS:
            raise


def _known(broker: "Broker", topic: "TopicInfo") -> TopicAnswer:
    return TopicAnswer(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.internal,
        partitions=[
            _partition(broker.cluster.node_id, index, offline=broker.is_offline(topic.name, index))
            for index in range(topic.partitions)
        ],
    )


def _partition(node_id: int, index: int, *, offline: bool) -> PartitionAnswer:
    replicas = replicas_of(node_id, offline=offline)
    return PartitionAnswer(
        error_code=int(ErrorCode.LEADER_NOT_AVAILABLE if offline else ErrorCode.NONE),
        partition_index=index,
        leader_id=replicas.leader_id,
        leader_epoch=LEADER_EPOCH,
        replica_nodes=[node_id],
        isr_nodes=replicas.in_sync,
        offline_replicas=replicas.offline,
    )
