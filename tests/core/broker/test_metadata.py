"""Topics and brokers as clients see them, and topics that come into being because they were asked for."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from core.broker.running import ask, running_broker

from millstream.core.broker.authorized import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from millstream.core.wire.messages.k60_describe_cluster import DescribeClusterRequest, DescribeClusterResponse

NONE, UNKNOWN = int(ErrorCode.NONE), int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def named(*names: str, **more: Any) -> MetadataRequest:
    return MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name=name) for name in names], **more)


async def metadata(broker: Broker, request: MetadataRequest, version: int = 12) -> MetadataResponse:
    response = await ask(broker, request, version)
    assert isinstance(response, MetadataResponse)
    return response


def told(response: MetadataResponse) -> list[tuple[str | None, int, int]]:
    """(name, error code, number of partitions) of each topic that is not the broker's own."""
    return [(one.name, one.error_code, len(one.partitions)) for one in response.topics if not one.is_internal]


async def test_a_topic_has_a_leader_an_id_and_its_partitions(tmp_path: Path) -> None:
    async with running_broker(tmp_path, {"node.id": "5"}) as broker:
        info = await broker.cluster.create_topic("t", 2, {})

        answer = await metadata(broker, named("t"))

        (topic,) = answer.topics
        assert (topic.name, topic.error_code, topic.topic_id, topic.is_internal) == ("t", NONE, info.topic_id, False)
        assert [
            (one.partition_index, one.leader_id, one.leader_epoch, one.replica_nodes, one.isr_nodes)
            for one in topic.partitions
        ] == [(0, 5, 0, [5], [5]), (1, 5, 0, [5], [5])]
        assert [one.node_id for one in answer.brokers] == [5]
        assert (answer.controller_id, answer.cluster_id) == (5, broker.cluster.cluster_id)


async def test_null_asks_for_all_topics_and_an_empty_list_for_none_but_in_version_0(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("a", 1, {})
        await broker.cluster.create_topic("b", 3, {})

        everything = await metadata(broker, MetadataRequest(topics=None), 12)
        nothing = await metadata(broker, MetadataRequest(topics=[]), 12)
        old = await metadata(broker, MetadataRequest(topics=[]), 0)

        assert told(everything) == told(old) == [("a", NONE, 1), ("b", NONE, 3)]
        assert told(nothing) == []


async def test_a_topic_that_is_asked_for_is_created_and_is_there_from_the_next_question_on(tmp_path: Path) -> None:
    async with running_broker(tmp_path, {"num.partitions": "3"}) as broker:
        first = await asyncio.gather(*(metadata(broker, named("new"), version) for version in (1, 4, 12)))
        answers = [await metadata(broker, named("new"), version) for version in (1, 4, 12)]

        assert [told(answer) for answer in first] == [[("new", UNKNOWN, 0)]] * 3
        assert [told(answer) for answer in answers] == [[("new", NONE, 3)]] * 3
        info = broker.cluster.topic("new")
        assert info is not None
        assert answers[2].topics[0].topic_id == info.topic_id


@pytest.mark.parametrize(("enabled", "allowed"), [("false", True), ("true", False)])
async def test_a_topic_is_not_created_unless_broker_and_client_both_want_it(
    tmp_path: Path, enabled: str, allowed: bool
) -> None:
    async with running_broker(tmp_path, {"auto.create.topics.enable": enabled}) as broker:
        answer = await metadata(broker, named("new", allow_auto_topic_creation=allowed))

        assert told(answer) == [("new", UNKNOWN, 0)]
        assert broker.cluster.topic("new") is None


async def test_a_name_that_cannot_be_a_topic_is_said(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        answer = await metadata(broker, named("no spaces", "fine"))

        assert told(answer) == [("no spaces", int(ErrorCode.INVALID_TOPIC_EXCEPTION), 0), ("fine", UNKNOWN, 0)]


async def test_topics_may_be_asked_for_by_id(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        info = await broker.cluster.create_topic("t", 1, {})
        wanted = [
            MetadataRequest.MetadataRequestTopic(name=None, topic_id=topic_id)
            for topic_id in (info.topic_id, bytes(range(16)))
        ]

        answer = await metadata(broker, MetadataRequest(topics=wanted))

        assert told(answer) == [("t", NONE, 1), (None, int(ErrorCode.UNKNOWN_TOPIC_ID), 0)]


async def test_what_a_client_may_do_is_told_when_it_asks(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        asked = named("t", include_topic_authorized_operations=True, include_cluster_authorized_operations=True)

        full, plain = await metadata(broker, asked, 10), await metadata(broker, named("t"), 10)

        assert full.topics[0].topic_authorized_operations == TOPIC_OPERATIONS == 3576
        assert full.cluster_authorized_operations == CLUSTER_OPERATIONS == 8096
        assert plain.topics[0].topic_authorized_operations == plain.cluster_authorized_operations == NOT_ASKED


async def test_the_cluster_is_described(tmp_path: Path) -> None:
    async with running_broker(tmp_path, {"advertised.listeners": "kafka.example:9092"}) as broker:
        broker.listening(("127.0.0.1", 1))
        answer: DescribeClusterResponse = await ask(
            broker, DescribeClusterRequest(include_cluster_authorized_operations=True), 1
        )
        controllers: DescribeClusterResponse = await ask(broker, DescribeClusterRequest(endpoint_type=2), 1)

        assert [(one.broker_id, one.host, one.port) for one in answer.brokers] == [(1, "kafka.example", 9092)]
        assert (answer.controller_id, answer.cluster_id) == (1, broker.cluster.cluster_id)
        assert answer.cluster_authorized_operations == CLUSTER_OPERATIONS
        assert controllers.error_code == int(ErrorCode.MISMATCHED_ENDPOINT_TYPE)
