"""The cluster's metadata as a state machine: what is decided, and that replay gives the same state."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from thoroughness import some

from millstream.core.broker.settings.config import BrokerConfig
from millstream.core.broker.settings.dynamic_settings import DynamicSettings
from millstream.core.coordinators.cluster_codec import decode_record, encode_record
from millstream.core.coordinators.cluster_commands import (
    AllocateProducerIds,
    AlterConfigs,
    ClusterCommand,
    ClusterDecision,
    ConfigChange,
    ConfigOperation,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    Fault,
    MorePartitions,
    NewTopic,
    ResourceType,
    TopicInfo,
)
from millstream.core.coordinators.cluster_metadata import ClusterMetadata
from millstream.core.errors import ErrorCode
from millstream.core.wire.message import Message
from millstream.core.wire.messages.data_config_record import ConfigRecord

SETTINGS = DynamicSettings(BrokerConfig(log_dirs="/data"))


def new_metadata() -> ClusterMetadata:
    return ClusterMetadata(node_id=1, default_partitions=3, broker_settings=SETTINGS)


def run(metadata: ClusterMetadata, command: ClusterCommand) -> ClusterDecision:
    decision = metadata.decide(command)
    for record in decision.records:
        metadata.apply(record)
    return decision


def create(name: str, partitions: int = 1, **configs: str) -> CreateTopics:
    named = {key.replace("_", "."): value for key, value in configs.items()}
    return CreateTopics([(NewTopic(name, partitions, configs=named), name.encode().ljust(16, b"."))])


def alter(name: str, *changes: ConfigChange, kind: int = ResourceType.TOPIC, replace: bool = False) -> AlterConfigs:
    return AlterConfigs(kind, name, changes, replace)


def test_deciding_changes_nothing() -> None:
    metadata = new_metadata()

    metadata.decide(create("orders"))
    metadata.decide(AllocateProducerIds(10))

    assert metadata.topics() == ()
    assert metadata.next_producer_id == 0


def test_a_topic_without_a_number_gets_the_default_partitions() -> None:
    metadata = new_metadata()

    run(metadata, create("orders", -1, retention_ms="7"))

    assert metadata.topics() == (TopicInfo("orders", b"orders..........", 3, {"retention.ms": "7"}),)


def test_of_two_colliding_names_in_one_request_the_second_is_refused() -> None:
    decision = new_metadata().decide(CreateTopics([(NewTopic("a.b", 1), b"1" * 16), (NewTopic("a_b", 1), b"2" * 16)]))

    assert isinstance(decision.answers[0], TopicInfo)
    assert isinstance(decision.answers[1], Fault)
    assert decision.answers[1].code is ErrorCode.INVALID_TOPIC_EXCEPTION


def test_a_name_is_free_again_after_the_topic_that_collided_is_deleted() -> None:
    metadata = new_metadata()
    run(metadata, create("a.b"))
    run(metadata, DeleteTopics(["a.b"]))

    decision = run(metadata, create("a_b"))

    assert isinstance(decision.answers[0], TopicInfo)


def test_a_deleted_topic_takes_its_settings_along_and_its_id_is_known_as_removed() -> None:
    metadata = new_metadata()
    run(metadata, create("orders", retention_ms="7"))
    run(metadata, DeleteTopics(["orders"]))

    run(metadata, CreateTopics([(NewTopic("orders", 1), b"2" * 16)]))

    topic = metadata.topic("orders")
    assert topic == TopicInfo("orders", b"2" * 16, 1, {})
    assert metadata.topic_by_id(b"orders..........") is None
    assert metadata.was_removed(b"orders..........")
    assert not metadata.was_removed(b"2" * 16)


def test_topics_of_coordinators_are_not_deleted() -> None:
    metadata = new_metadata()
    run(metadata, create("__consumer_offsets"))

    answer = run(metadata, DeleteTopics(["__consumer_offsets"])).answers[0]

    assert isinstance(answer, Fault)
    assert answer.code is ErrorCode.INVALID_REQUEST


def test_only_settings_that_change_are_written() -> None:
    metadata = new_metadata()
    run(metadata, create("orders", retention_ms="7", max_message_bytes="100"))
    changes = [
        ConfigChange("retention.ms", ConfigOperation.SET, "7"),
        ConfigChange("max.message.bytes", ConfigOperation.DELETE),
        ConfigChange("segment.ms", ConfigOperation.SET, "9"),
    ]

    decision = run(metadata, alter("orders", *changes))

    assert decision.records == (
        ConfigRecord(resource_type=2, resource_name="orders", name="segment.ms", value="9"),
        ConfigRecord(resource_type=2, resource_name="orders", name="max.message.bytes", value=None),
    )
    topic = metadata.topic("orders")
    assert topic is not None
    assert topic.configs == {"retention.ms": "7", "segment.ms": "9"}


def test_settings_of_the_broker_are_those_that_may_change_while_it_runs() -> None:
    metadata = new_metadata()
    good = ConfigChange("log.retention.ms", ConfigOperation.SET, "7")

    assert run(metadata, alter("", good, kind=ResourceType.BROKER)).answers == (None,)
    assert metadata.broker_configs("") == {"log.retention.ms": "7"}
    for bad in (
        ConfigChange("node.id", ConfigOperation.SET, "7"),
        ConfigChange("log.retention.ms", ConfigOperation.SET, "x"),
    ):
        answer = run(metadata, alter("", bad, kind=ResourceType.BROKER)).answers[0]
        assert isinstance(answer, Fault)
        assert answer.code is ErrorCode.INVALID_REQUEST


def test_blocks_of_producer_ids_do_not_overlap() -> None:
    metadata = new_metadata()

    firsts = [run(metadata, AllocateProducerIds(10)).answers[0] for _ in range(3)]

    assert firsts == [0, 10, 20]


class Replay(RuleBasedStateMachine):
    """Whatever is decided: the records, through their bytes, give the same state again, and topics stay consistent."""

    names = st.sampled_from(["a", "b", "a.b", "a_b", "c", "bad name", "__consumer_offsets"])

    def __init__(self) -> None:
        super().__init__()
        self.metadata = new_metadata()
        self.log: list[bytes] = []
        self.count = 0

    def carry_out(self, command: ClusterCommand) -> None:
        for record in run(self.metadata, command).records:
            self.log.append(encode_record(record))

    @rule(names=st.lists(names, max_size=3, unique=True), partitions=st.integers(-2, 4))
    def create(self, names: list[str], partitions: int) -> None:
        topics = []
        for name in names:
            self.count += 1
            topics.append((NewTopic(name, partitions), self.count.to_bytes(16, "big")))
        self.carry_out(CreateTopics(topics))

    @rule(names=st.lists(names, max_size=3, unique=True))
    def delete(self, names: list[str]) -> None:
        self.carry_out(DeleteTopics(names))

    @rule(name=names, count=st.integers(0, 6))
    def grow(self, name: str, count: int) -> None:
        self.carry_out(CreatePartitions([MorePartitions(name, count)]))

    @rule(
        name=names,
        changes=st.lists(
            st.builds(
                ConfigChange,
                st.sampled_from(["retention.ms", "cleanup.policy", "no.such"]),
                st.sampled_from(list(ConfigOperation)),
                st.sampled_from(["1", "compact", None]),
            ),
            max_size=3,
        ),
        replace=st.booleans(),
    )
    def alter(self, name: str, changes: list[ConfigChange], replace: bool) -> None:
        self.carry_out(alter(name, *changes, replace=replace))

    @rule(count=st.integers(1, 1000))
    def allocate(self, count: int) -> None:
        self.carry_out(AllocateProducerIds(count))

    @invariant()
    def replay_gives_the_same_state(self) -> None:
        again = new_metadata()
        for value in self.log:
            record: Message | None = decode_record(value)
            assert record is not None
            again.apply(record)
        assert again.topics() == self.metadata.topics()
        assert again.next_producer_id == self.metadata.next_producer_id

    @invariant()
    def names_and_ids_agree(self) -> None:
        for topic in self.metadata.topics():
            assert topic.partitions >= 1
            assert self.metadata.topic(topic.name) is topic
            assert self.metadata.topic_by_id(topic.topic_id) is topic


TestReplay = Replay.TestCase
TestReplay.settings = settings(max_examples=some(40), stateful_step_count=25)
