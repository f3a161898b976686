"""Changes of very many topics and settings in one request: made a few at a time, others being served in between, with
the answers that a small request gets. 200,000 names held the loop up for 1.5 to 7 s."""

from pathlib import Path
from typing import Any

import pytest
from core.broker.running import ask, running_broker
from core.broker.test_turns import turns_of_others

from millstream.core.broker.turns import AT_ONCE
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k33_alter_configs import AlterConfigsRequest
from millstream.core.wire.messages.k37_create_partitions import CreatePartitionsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest
from millstream.core.wire.messages.k75_describe_topic_partitions import DescribeTopicPartitionsRequest

MANY = 4_000
ABSENT = [f"absent-{number:05}" for number in range(MANY)]
UNKNOWN, TWICE = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), int(ErrorCode.INVALID_REQUEST)
LEAST_TURNS = MANY // AT_ONCE
Increment = IncrementalAlterConfigsRequest


def creation(*topics: tuple[str, int], validate_only: bool = False) -> CreateTopicsRequest:
    wanted = [
        CreateTopicsRequest.CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
        for name, partitions in topics
    ]
    return CreateTopicsRequest(topics=wanted, timeout_ms=10_000, validate_only=validate_only)


async def test_topics_are_created_and_refused_a_few_at_a_time(tmp_path: Path) -> None:
    """One that is named at the begin and at the end is named twice; two that collide are told so, however far apart."""
    wanted = [("again", 1), ("new.a", 1), *((name, 0) for name in ABSENT), ("new_a", 1), ("new-b", 2), ("again", 1)]
    async with running_broker(tmp_path) as broker:
        response, turns = await turns_of_others(ask(broker, creation(*wanted), 7))
        there = {topic.name: topic.partitions for topic in broker.cluster.topics() if not topic.internal}

    codes = {topic.name: topic.error_code for topic in response.topics}
    assert list(codes) == ["again", "new.a", *ABSENT, "new_a", "new-b"]
    assert {codes.pop(name) for name in ABSENT} == {ErrorCode.INVALID_PARTITIONS}
    assert codes == {"again": TWICE, "new.a": 0, "new_a": ErrorCode.INVALID_TOPIC_EXCEPTION, "new-b": 0}
    assert there == {"new.a": 1, "new-b": 2}
    assert turns >= LEAST_TURNS


@pytest.mark.parametrize("validate_only", [False, True])
async def test_too_many_partitions_of_very_many_topics_create_nothing(tmp_path: Path, validate_only: bool) -> None:
    wanted = [(name, 3) for name in ABSENT]
    async with running_broker(tmp_path) as broker:
        response, turns = await turns_of_others(ask(broker, creation(*wanted, validate_only=validate_only), 7))
        assert all(topic.internal for topic in broker.cluster.topics())

    assert [(topic.name, topic.error_code) for topic in response.topics] == [
        (name, ErrorCode.POLICY_VIOLATION) for name in ABSENT
    ]
    assert "12000" in response.topics[0].error_message
    assert turns >= LEAST_TURNS


async def test_a_request_for_too_many_partitions_in_all_creates_none_of_its_topics(tmp_path: Path) -> None:
    """As MAX_PARTITIONS_PER_BATCH of Kafka 4.3.1; names that are there twice do not count."""
    most = [("a", 9_990), ("b", -1), ("c", 7), ("d", 9), ("d", 9)]
    async with running_broker(tmp_path, {"num.partitions": 3}) as broker:
        allowed = await ask(broker, creation(*most, validate_only=True), 7)
        refused = await ask(broker, creation(*most, ("e", 1), validate_only=True), 7)

    assert {topic.name: topic.error_code for topic in allowed.topics} == {"a": 0, "b": 0, "c": 0, "d": TWICE}
    assert {topic.error_code for topic in refused.topics} == {int(ErrorCode.POLICY_VIOLATION)}


async def test_topics_grow_a_few_at_a_time(tmp_path: Path) -> None:
    names = ["again", *ABSENT, "t", "again"]
    topics = [CreatePartitionsRequest.CreatePartitionsTopic(name=name, count=2, assignments=None) for name in names]
    async with running_broker(tmp_path) as broker:
        for name in ("t", "again"):
            await broker.cluster.create_topic(name, 1, {})
        response, turns = await turns_of_others(ask(broker, CreatePartitionsRequest(topics=topics), 3))
        there = {topic.name: topic.partitions for topic in broker.cluster.topics() if not topic.internal}

    assert [(one.name, one.error_code) for one in response.results] == [
        ("again", TWICE), *((name, UNKNOWN) for name in ABSENT), ("t", 0),
    ]  # fmt: skip
    assert there == {"t": 2, "again": 1}
    assert turns >= LEAST_TURNS


def increment(name: str) -> Any:
    config = Increment.AlterableConfig(name="retention.ms", config_operation=0, value="7")
    return Increment.AlterConfigsResource(resource_type=2, resource_name=name, configs=[config])


def replacement(name: str) -> Any:
    config = AlterConfigsRequest.AlterableConfig(name="retention.ms", value="7")
    return AlterConfigsRequest.AlterConfigsResource(resource_type=2, resource_name=name, configs=[config])


@pytest.mark.parametrize(
    ("request_of", "resource_of", "version"), [(Increment, increment, 1), (AlterConfigsRequest, replacement, 2)]
)
async def test_settings_change_a_few_at_a_time(tmp_path: Path, request_of: Any, resource_of: Any, version: int) -> None:
    names = ["again", *ABSENT, "t", "again"]
    async with running_broker(tmp_path) as broker:
        for name in ("t", "again"):
            await broker.cluster.create_topic(name, 1, {})
        request = request_of(resources=[resource_of(name) for name in names])
        response, turns = await turns_of_others(ask(broker, request, version))
        kept = {topic.name: topic.configs for topic in broker.cluster.topics() if not topic.internal}

    assert [(one.resource_name, one.error_code) for one in response.responses] == [
        ("again", TWICE), *((name, UNKNOWN) for name in ABSENT), ("t", 0), ("again", TWICE),
    ]  # fmt: skip
    assert kept == {"t": {"retention.ms": "7"}, "again": {}}
    assert turns >= LEAST_TURNS


@pytest.mark.parametrize(("kind", "code"), [(2, ErrorCode.INVALID_CONFIG), (4, ErrorCode.POLICY_VIOLATION)])
async def test_very_many_settings_of_one_resource_are_refused_unseen(tmp_path: Path, kind: int, code: int) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("1", 1, {})
        configs = [
            Increment.AlterableConfig(name=f"n{number}", value="", config_operation=9) for number in range(1_001)
        ]
        resource = Increment.AlterConfigsResource(resource_type=kind, resource_name="1", configs=configs)
        (answer,) = (await ask(broker, Increment(resources=[resource]), 1)).responses

    assert answer.error_code == code
    assert answer.error_message == "'1' would have 1001 settings; at most 1000 may be"


async def test_partitions_of_very_many_topics_are_described_in_order_a_few_at_a_time(tmp_path: Path) -> None:
    names = ["t", *reversed(ABSENT), "a", "t"]
    topics = [DescribeTopicPartitionsRequest.TopicRequest(name=name) for name in names]
    cursor = DescribeTopicPartitionsRequest.Cursor(topic_name=ABSENT[10], partition_index=0)
    async with running_broker(tmp_path) as broker:
        for name in ("a", "t"):
            await broker.cluster.create_topic(name, 2, {})
        request = DescribeTopicPartitionsRequest(topics=topics)
        response, turns = await turns_of_others(ask(broker, request, 0))
        later = await ask(broker, DescribeTopicPartitionsRequest(topics=topics, cursor=cursor), 0)

    found = [(topic.name, topic.error_code, len(topic.partitions)) for topic in response.topics]
    assert found == [("a", 0, 2), *((name, UNKNOWN, 0) for name in ABSENT), ("t", 0, 2)]
    assert [topic.name for topic in later.topics] == [*ABSENT[10:], "t"]
    assert turns >= LEAST_TURNS
