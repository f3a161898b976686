"""What a cluster's metadata hold at one moment, and the records that say so. Pure.

An image is taken at once, whatever it holds: all of it is values that never change, and another thread may make its
records. Applied to empty metadata they give the same again; they come in an order in which Kafka can apply them too.
Source: MetadataImage, TopicImage and ConfigurationsImage of Kafka 4.3.1.
Tested in tests/core/coordinators/test_cluster_snapshot.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..wire.message import Message
from ..wire.messages.data_config_record import ConfigRecord
from ..wire.messages.data_partition_record import PartitionRecord
from ..wire.messages.data_producer_ids_record import ProducerIdsRecord
from ..wire.messages.data_remove_topic_record import RemoveTopicRecord
from ..wire.messages.data_topic_record import TopicRecord
from .cluster_commands import ResourceType, TopicInfo


@dataclass(frozen=True, slots=True)
class ClusterImage:
    """removed: names, by id, of deleted topics whose directories may come back; all others are forgotten."""

    node_id: int
    topics: tuple[TopicInfo, ...]
    broker_configs: Mapping[str, Mapping[str, str]]
    next_producer_id: int
    removed: Mapping[bytes, str]

    def records(self) -> Iterator[Message]:
        """All of it, topics in the order in which they were created."""
        for topic_id, name in self.removed.items():
            yield TopicRecord(name=name, topic_id=topic_id)
            yield RemoveTopicRecord(topic_id=topic_id)
        for topic in self.topics:
            yield from topic_records(topic, self.node_id)
        for name, configs in self.broker_configs.items():
            yield from _configs(ResourceType.BROKER, name, configs)
        if self.next_producer_id:
            yield ProducerIdsRecord(broker_id=self.node_id, broker_epoch=0, next_producer_id=self.next_producer_id)


def topic_records(topic: TopicInfo, node_id: int) -> Iterator[Message]:
    """What makes a topic as it is."""
    yield TopicRecord(name=topic.name, topic_id=topic.topic_id)
    yield from _configs(ResourceType.TOPIC, topic.name, topic.configs)
    yield from partition_records(topic.topic_id, range(topic.partitions), node_id)


def partition_records(topic_id: bytes, partitions: range, node_id: int) -> Iterator[Message]:
    """Partitions whose only replica is on `node_id`."""
    for partition in partitions:
        yield PartitionRecord(
            partition_id=partition,
            topic_id=topic_id,
            replicas=[node_id],
            isr=[node_id],
            leader=node_id,
            leader_epoch=0,
            partition_epoch=0,
        )


def _configs(kind: ResourceType, resource: str, configs: Mapping[str, str]) -> Iterator[Message]:
    for name, value in configs.items():
        yield ConfigRecord(resource_type=int(kind), resource_name=resource, name=name, value=value)
