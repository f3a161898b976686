"""Offsets that confluent-kafka sends to a transaction count when it commits; a zombie's never do. As on Kafka."""

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_S = 90


@pytest.fixture
def topic() -> str:
    return f"counted-{uuid.uuid4().hex[:8]}"


@pytest.fixture(params=["broker", pytest.param("kafka", marks=[pytest.mark.service, pytest.mark.slow])])
def cluster(request: pytest.FixtureRequest, topic: str) -> str:
    """A cluster with ten records in the topic."""
    bootstrap: str = request.getfixturevalue(request.param)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(10):
        producer.produce(topic, b"%d" % number)
    assert producer.flush(TIMEOUT_S) == 0
    return bootstrap


@pytest.fixture
def consumer(cluster: str, topic: str) -> Iterator[Consumer]:
    """A member of group `<topic>` that has read all."""
    settings = {"bootstrap.servers": cluster, "group.id": topic, "enable.auto.commit": False}
    member = Consumer(settings | {"auto.offset.reset": "earliest", "session.timeout.ms": 120_000})
    member.subscribe([topic])
    assert len(member.consume(10, TIMEOUT_S)) == 10
    yield member
    member.close()


def transactional(cluster: str, topic: str) -> Producer:
    producer = Producer({"bootstrap.servers": cluster, "transactional.id": topic})
    producer.init_transactions(TIMEOUT_S)
    return producer


def committed(consumer: Consumer, topic: str) -> int:
    offset: int = consumer.committed([TopicPartition(topic, 0)], timeout=TIMEOUT_S)[0].offset
    return offset


def send(producer: Producer, topic: str, offset: int, metadata: object) -> None:
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], metadata, TIMEOUT_S)


def test_offsets_count_with_the_commit_and_not_with_an_abort(cluster: str, consumer: Consumer, topic: str) -> None:
    producer = transactional(cluster, topic)
    metadata = consumer.consumer_group_metadata()

    send(producer, topic, 5, metadata)
    producer.commit_transaction(TIMEOUT_S)
    assert committed(consumer, topic) == 5

    send(producer, topic, 7, metadata)
    producer.abort_transaction(TIMEOUT_S)
    assert committed(consumer, topic) == 5


def test_a_producer_that_is_replaced_cannot_commit_its_offsets(cluster: str, consumer: Consumer, topic: str) -> None:
    zombie = transactional(cluster, topic)
    send(zombie, topic, 9, consumer.consumer_group_metadata())

    transactional(cluster, topic)
    with pytest.raises(KafkaException) as refused:
        zombie.commit_transaction(TIMEOUT_S)

    assert refused.value.args[0].name() == "_FENCED"
    assert committed(consumer, topic) in (-1001, 0)


def test_a_member_that_has_left_cannot_commit_in_a_transaction(cluster: str, consumer: Consumer, topic: str) -> None:
    metadata = consumer.consumer_group_metadata()
    consumer.unsubscribe()
    consumer.close()
    producer = transactional(cluster, topic)

    with pytest.raises(KafkaException) as refused:
        send(producer, topic, 9, metadata)

    error = refused.value.args[0]
    assert (error.name(), error.txn_requires_abort()) == ("UNKNOWN_MEMBER_ID", True)
