"""Topics, settings and producer id blocks of a cluster, as a state machine over Kafka's metadata records. Pure.

decide() changes nothing: it gives the records of one batch, which stands in the log as a whole or not at all, and the
answers. apply() is the only writer of state, for new records and for replay alike. Shell: broker/topics/cluster.py.
Source: ReplicationControlManager, ConfigurationControlManager and ProducerIdControlManager of Kafka 4.3.1.
Tested in tests/core/coordinators/test_cluster_metadata.py.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ..config import TOPIC_CONFIG
from ..wire.message import Message
from ..wire.messages.data_config_record import ConfigRecord
from ..wire.messages.data_partition_record import PartitionRecord
from ..wire.messages.data_producer_ids_record import ProducerIdsRecord
from ..wire.messages.data_remove_topic_record import RemoveTopicRecord
from ..wire.messages.data_topic_record import TopicRecord
from .cluster_commands import (
    AllocateProducerIds,
    AlterConfigs,
    Answer,
    ClusterCommand,
    ClusterDecision,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    Fault,
    MorePartitions,
    NewTopic,
    ResourceType,
    TopicInfo,
)
from .cluster_image import ClusterImage, partition_records, topic_records
from .config_changes import BrokerSettings, changed, values_fault
from .topic_rules import (
    INTERNAL_TOPICS,
    MAX_SETTINGS,
    collision_key,
    internal_fault,
    many_settings_fault,
    more_partitions_fault,
    new_topic_fault,
    unknown_topic_fault,
    wanted_partitions,
)

NO_SETTINGS: Mapping[str, str] = {}
LAST_PRODUCER_ID = 2**63 - 1


class ClusterMetadata:
    """The state of a cluster of one broker, `node_id`, which has every partition's only replica.

    default_partitions: of a topic that names no number. broker_settings: those that may change while it runs.
    """

    def __init__(self, *, node_id: int, default_partitions: int, broker_settings: BrokerSettings) -> None:
        self._node_id = node_id
        self._default_partitions = default_partitions
        self._broker_settings = broker_settings
        self._topics: dict[str, TopicInfo] = {}
        self._by_id: dict[bytes, TopicInfo] = {}
        self._removed: dict[bytes, str] = {}
        self._names: dict[str, str] = {}
        self._broker_configs: dict[str, dict[str, str]] = {}
        self.next_producer_id = 0
        self.is_whole = True
        """Whether nothing was passed over: an image tells all that the log does."""

    # What is known.

    def topic(self, name: str) -> TopicInfo | None:
        return self._topics.get(name)

    def topic_by_id(self, topic_id: bytes) -> TopicInfo | None:
        return self._by_id.get(topic_id)

    def topics(self) -> tuple[TopicInfo, ...]:
        """All topics, in the order in which they were created."""
        return tuple(self._topics.values())

    def was_removed(self, topic_id: bytes) -> bool:
        """Whether a topic had this id and was deleted, as far as that still matters."""
        return topic_id in self._removed

    @property
    def removed(self) -> Mapping[bytes, str]:
        """Names, by id, of deleted topics that are not forgotten."""
        return self._removed

    def forget_removed(self, topic_ids: Iterable[bytes]) -> None:
        """Nothing of these deleted topics can come back any more."""
        for topic_id in topic_ids:
            self._removed.pop(topic_id, None)

    def image(self, removed: Mapping[bytes, str]) -> ClusterImage:
        """All that is known now. removed: the deleted topics that must stay known."""
        return ClusterImage(
            self._node_id, self.topics(), dict(self._broker_configs), self.next_producer_id, dict(removed)
        )

    def broker_configs(self, resource_name: str) -> Mapping[str, str]:
        """Settings given while the broker ran: for this one, by its number, or for all, by ''."""
        return self._broker_configs.get(resource_name, NO_SETTINGS)

    @property
    def all_broker_configs(self) -> Mapping[str, Mapping[str, str]]:
        """By the broker's number, or ''."""
        return self._broker_configs

    # Deciding.

    def decide(self, command: ClusterCommand) -> ClusterDecision:
        """What follows from a command."""
        match command:
            case CreateTopics():
                return self._create_topics(command.topics)
            case DeleteTopics():
                return self._delete_topics(command.names)
            case CreatePartitions():
                return self._create_partitions(command.topics)
            case AlterConfigs():
                return self._alter_configs(command)
            case AllocateProducerIds():
                return self._allocate(command.count)

    def _create_topics(self, topics: Sequence[tuple[NewTopic, bytes]]) -> ClusterDecision:
        records: list[Message] = []
        answers: list[Answer] = []
        new: dict[str, str] = {}
        _assert_distinct([topic.name for topic, _ in topics])
        for topic, topic_id in topics:
            key = collision_key(topic.name)
            fault = new_topic_fault(
                topic,
                node_id=self._node_id,
                existing=self._topics.get(topic.name),
                colliding=self._names.get(key) or new.get(key),
            ) or values_fault(TOPIC_CONFIG, topic.configs)
            if fault is not None:
                answers.append(fault)
                continue
            new[key] = topic.name
            info = self._info(topic, topic_id)
            records += topic_records(info, self._node_id)
            answers.append(info)
        return ClusterDecision(tuple(records), tuple(answers))

    def _info(self, topic: NewTopic, topic_id: bytes) -> TopicInfo:
        partitions = wanted_partitions(topic.partitions, len(topic.assignments), self._default_partitions)
        configs = {name: value for name, value in topic.configs.items() if value is not None}
        return TopicInfo(topic.name, topic_id, partitions, configs, topic.name in INTERNAL_TOPICS)

    def _delete_topics(self, names: Sequence[str]) -> ClusterDecision:
        records: list[Message] = []
        answers: list[Answer] = []
        _assert_distinct(names)
        for name in names:
            info = self._topics.get(name)
            if info is None:
                answers.append(unknown_topic_fault(name))
            elif info.internal:
                answers.append(internal_fault(info))
            else:
                records.append(RemoveTopicRecord(topic_id=info.topic_id))
                answers.append(info)
        return ClusterDecision(tuple(records), tuple(answers))

    def _create_partitions(self, topics: Sequence[MorePartitions]) -> ClusterDecision:
        records: list[Message] = []
        answers: list[Answer] = []
        _assert_distinct([wanted.name for wanted in topics])
        for wanted in topics:
            info = self._topics.get(wanted.name)
            fault = more_partitions_fault(wanted, info, self._node_id)
            if fault is not None or info is None:
                answers.append(fault)
            else:
                records += partition_records(info.topic_id, range(info.partitions, wanted.count), self._node_id)
                answers.append(dataclasses.replace(info, partitions=wanted.count))
        return ClusterDecision(tuple(records), tuple(answers))

    def _alter_configs(self, command: AlterConfigs) -> ClusterDecision:
        name = command.resource_name
        is_topic = command.resource_type == ResourceType.TOPIC
        info = self._topics.get(name)
        if is_topic and info is None:
            return _refused(unknown_topic_fault(name))
        current = self.broker_configs(name) if info is None or not is_topic else info.configs
        fields = TOPIC_CONFIG.fields if is_topic else self._broker_settings.fields
        after = changed(current, command.changes, fields, replace=command.replace)
        if isinstance(after, Fault):
            return _refused(after)
        if len(after) > MAX_SETTINGS:
            return _refused(many_settings_fault(name, len(after)))
        if is_topic:
            fault = values_fault(TOPIC_CONFIG, after)
        else:
            given = self.all_broker_configs
            fault = self._broker_settings.fault(name, given, {**given, name: after})
        if fault is not None:
            return _refused(fault)
        kind = int(command.resource_type)
        differing = [key for key in (*after, *current) if after.get(key) != current.get(key)]
        records = tuple(
            ConfigRecord(resource_type=kind, resource_name=name, name=key, value=after.get(key))
            for key in dict.fromkeys(differing)
        )
        return ClusterDecision(records, (None,))

    def _allocate(self, count: int) -> ClusterDecision:
        first = self.next_producer_id
        assert first <= LAST_PRODUCER_ID - count, "producer ids are exhausted"
        record = ProducerIdsRecord(broker_id=self._node_id, broker_epoch=0, next_producer_id=first + count)
        return ClusterDecision((record,), (first,))

    # Applying.

    def apply(self, record: Message | None) -> None:
        """Takes what the log holds. Records about other things, as a Kafka has, are passed over; None is one."""
        match record:
            case TopicRecord():
                internal = record.name in INTERNAL_TOPICS
                self._names[collision_key(record.name)] = record.name
                self._put(TopicInfo(record.name, record.topic_id, 0, NO_SETTINGS, internal))
            case PartitionRecord():
                info = self._by_id.get(record.topic_id)
                if info is not None:
                    self._put(dataclasses.replace(info, partitions=max(info.partitions, record.partition_id + 1)))
            case RemoveTopicRecord():
                info = self._by_id.pop(record.topic_id, None)
                self._removed[record.topic_id] = "" if info is None else info.name
                if info is not None:
                    del self._topics[info.name]
                    self._names.pop(collision_key(info.name), None)
            case ConfigRecord():
                self._apply_config(record)
            case ProducerIdsRecord():
                self.next_producer_id = max(self.next_producer_id, record.next_producer_id)
            case _:
                self.is_whole = False

    def _apply_config(self, record: ConfigRecord) -> None:
        if record.resource_type == ResourceType.TOPIC:
            info = self._topics.get(record.resource_name)
            if info is not None:
                self._put(dataclasses.replace(info, configs=_with(info.configs, record)))
        elif record.resource_type == ResourceType.BROKER:
            known = self.broker_configs(record.resource_name)
            self._broker_configs[record.resource_name] = _with(known, record)
        else:
            self.is_whole = False

    def _put(self, info: TopicInfo) -> None:
        self._topics[info.name] = info
        self._by_id[info.topic_id] = info


def _with(configs: Mapping[str, str], record: ConfigRecord) -> dict[str, str]:
    after = {name: value for name, value in configs.items() if name != record.name}
    if record.value is not None:
        after[record.name] = record.value
    return after


def _assert_distinct(names: Sequence[str]) -> None:
    """A request may name a topic twice; whoever takes it apart into commands refuses that."""
    assert len(set(names)) == len(names), "a command names a topic twice"


def _refused(fault: Fault) -> ClusterDecision:
    return ClusterDecision((), (fault,))
