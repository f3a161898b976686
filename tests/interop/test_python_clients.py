"""Cooperative groups and administration by Python clients, on our broker as on a real Kafka."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiokafka
import kafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from interop.cooperative_members import MEMBERS, Member
from services.millstream import MillstreamBroker

PARTITIONS = 4
RECORDS = 100
TIMEOUT_S = 90

pytestmark = [
    pytest.mark.usefixtures("sockets_collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=["millstream", pytest.param("kafka", marks=[pytest.mark.service, pytest.mark.slow])])
def bootstrap(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "kafka":
        yield request.getfixturevalue("kafka")
        return
    broker = MillstreamBroker(tmp_path / "broker", options=["--set", "group.initial.rebalance.delay.ms=0"])
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.fixture
def topic(bootstrap: str) -> str:
    """A topic with records in each of its partitions."""
    name = f"python-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(TIMEOUT_S)
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(RECORDS):
        producer.produce(name, b"%d" % number, partition=number % PARTITIONS)
    assert producer.flush(TIMEOUT_S) == 0
    return name


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not done():
        assert time.monotonic() < deadline, f"not so after {TIMEOUT_S} s"
        time.sleep(0.02)


@pytest.mark.parametrize("library", MEMBERS)
def test_a_cooperative_member_gives_up_only_what_moves(library: str, bootstrap: str, topic: str) -> None:
    first, second = (MEMBERS[library](bootstrap, topic) for _ in range(2))
    members: list[Member] = [first, second]
    with closing(first), closing(second):
        first.start()
        until(lambda: len(first.owned) == PARTITIONS and len(first.read) == RECORDS)
        second.start()
        until(lambda: [len(member.owned) for member in members] == [2, 2])
        assert not first.owned & second.owned
        first.leave()
        until(lambda: len(second.owned) == PARTITIONS)
        second.leave()

    assert first.told[:2] == ["assigned 4", "revoked 2"]
    assert second.told[:2] == ["assigned 2", "assigned 2"]
    assert sorted(first.read + second.read) == [
        (partition, offset) for partition in range(PARTITIONS) for offset in range(RECORDS // PARTITIONS)
    ]


def with_confluent(bootstrap: str, topic: str) -> dict[str, Any]:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    group = f"group-of-{topic}"
    admin.create_partitions([NewPartitions(topic, 6)])[topic].result(TIMEOUT_S)
    policy = ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND)
    resource = ConfigResource("topic", topic, incremental_configs=[policy])
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)
    until(lambda: admin.describe_configs([resource])[resource].result()["cleanup.policy"].value == "delete,compact")
    until(lambda: len(admin.list_topics(topic).topics[topic].partitions) == 6)
    offsets = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 7)])
    admin.alter_consumer_group_offsets([offsets])[group].result(TIMEOUT_S)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(TIMEOUT_S)
    low = admin.delete_records([TopicPartition(topic, 0, 5)])
    return {
        "offsets": [(at.partition, at.offset) for at in found.topic_partitions],
        "low": [done.result(TIMEOUT_S).low_watermark for done in low.values()],
        "state": admin.describe_consumer_groups([group])[group].result(TIMEOUT_S).state.name,
        "deleted": admin.delete_consumer_groups([group])[group].result(TIMEOUT_S),
    }


def with_kafka_python(bootstrap: str, topic: str) -> dict[str, Any]:
    admin = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
    group, first = f"group-of-{topic}", kafka.TopicPartition(topic, 0)
    admin.create_partitions({topic: kafka.admin.NewPartitions(6)})
    until(lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 6)
    admin.alter_group_offsets(group, {first: kafka.OffsetAndMetadata(7, "", -1)})
    found = admin.list_group_offsets({group: None})[group]
    low = admin.delete_records({first: 5})
    state = admin.describe_groups([group])[group]["group_state"]
    answer = {
        "offsets": [(at.partition, committed.offset) for at, committed in found.items()],
        "low": [done["low_watermark"] for done in low.values()],
        "state": state.upper(),
        "deleted": None if admin.delete_groups([group])[group] in ("OK", None) else "refused",
    }
    admin.close()
    return answer


async def _with_aiokafka(bootstrap: str, topic: str) -> dict[str, Any]:
    group, first = f"group-of-{topic}", aiokafka.TopicPartition(topic, 0)
    async with aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    ) as consumer:
        consumer.assign([first])
        await consumer.commit({first: 7})
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: aiokafka.admin.NewPartitions(6)})
        offsets = await admin.list_consumer_group_offsets(group)
        low = await admin.delete_records({first: aiokafka.admin.RecordsToDelete(5)})
        described = await admin.describe_consumer_groups([group])
        return {
            "offsets": [(at.partition, committed.offset) for at, committed in offsets.items() if committed.offset >= 0],
            "low": list(low.values()),
            "state": described[0].groups[0][2].upper(),
            "deleted": None,
        }
    finally:
        await admin.close()


def with_aiokafka(bootstrap: str, topic: str) -> dict[str, Any]:
    return asyncio.run(_with_aiokafka(bootstrap, topic))


@pytest.mark.parametrize("administer", [with_confluent, with_kafka_python, with_aiokafka])
def test_an_administrator_is_answered(
    administer: Callable[[str, str], dict[str, Any]], bootstrap: str, topic: str
) -> None:
    assert administer(bootstrap, topic) == {"offsets": [(0, 7)], "low": [5], "state": "EMPTY", "deleted": None}
