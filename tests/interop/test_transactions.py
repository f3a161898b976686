"""Stock clients write in transactions; what a read-committed consumer then gets, from our broker as from a Kafka."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from interop.transactional_clients import CLIENTS, TIMEOUT_S, Fenced, read_all

PARTITIONS = 3


@pytest.fixture(params=["broker", pytest.param("kafka", marks=[pytest.mark.service, pytest.mark.slow])])
def cluster(request: pytest.FixtureRequest) -> str:
    bootstrap: str = request.getfixturevalue(request.param)
    return bootstrap


@pytest.fixture
def topic(cluster: str) -> str:
    name = f"written-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": cluster})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(TIMEOUT_S)
    return name


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Any:
    return CLIENTS[request.param]


@pytest.fixture
def producer(client: Any, cluster: str, topic: str) -> Iterator[Any]:
    with closing(client(cluster, topic)) as made:
        yield made


def records(topic: str, *values: str) -> list[tuple[str, int, bytes]]:
    """Each value in every partition."""
    return [(topic, partition, value.encode()) for value in values for partition in range(PARTITIONS)]


def in_all(*values: str) -> dict[int, list[bytes]]:
    return {partition: [value.encode() for value in values] for partition in range(PARTITIONS)}


def test_what_is_committed_is_read_and_what_is_aborted_is_not(producer: Any, cluster: str, topic: str) -> None:
    producer.write(records(topic, "a", "b"), commit=True)
    producer.write(records(topic, "c", "d"), commit=False)
    producer.write(records(topic, "e"), commit=True)
    producer.write(records(topic, "f"), commit=False)

    assert read_all(cluster, topic) == in_all("a", "b", "e")
    assert read_all(cluster, topic, committed_only=False) == in_all(*"abcdef")


def test_a_transaction_that_is_open_is_not_read_and_hides_what_follows(
    client: Any, producer: Any, cluster: str, topic: str
) -> None:
    producer.open(records(topic, "open"))
    with closing(client(cluster, f"{topic}-other")) as other:
        other.write(records(topic, "after"), commit=True)
        while_open = read_all(cluster, topic)
        producer.end(commit=True)

    assert while_open == in_all()
    assert read_all(cluster, topic) == in_all("open", "after")


def test_a_producer_that_is_replaced_is_fenced_and_its_transaction_aborted(
    client: Any, producer: Any, cluster: str, topic: str
) -> None:
    producer.open(records(topic, "zombie"))
    with closing(client(cluster, topic)) as successor:
        successor.write(records(topic, "successor"), commit=True)
        with pytest.raises(Fenced):
            producer.end(commit=True)

        assert read_all(cluster, topic) == in_all("successor")
