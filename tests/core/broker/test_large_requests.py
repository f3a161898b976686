"""Requests about very many things: answered as small ones are, in order, bounded, and with others served meanwhile."""

import asyncio
import gc
import struct
from pathlib import Path

import pytest
from core.broker.running import batch_of, produce, produced, running_server, until
from core.broker.wire_client import WireClient

from millstream.core.broker.network.large_requests import LARGE_BYTES, LARGE_BYTES_OF, LARGEST_BYTES, PRODUCE
from millstream.core.errors import ErrorCode
from millstream.core.wire.frames import encode_request
from millstream.core.wire.message import Message, joined
from millstream.core.wire.messages.k00_produce import ProduceRequest, ProduceResponse
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResponse

VERSIONS = ApiVersionsRequest(client_software_name="test", client_software_version="1")
MANY = 20_000


def metadata(*names: str) -> MetadataRequest:
    topics = [MetadataRequest.MetadataRequestTopic(name=name) for name in names]
    return MetadataRequest(topics=topics, allow_auto_topic_creation=False)


def offset_fetch(count: int) -> OffsetFetchRequest:
    topic = OffsetFetchRequest.OffsetFetchRequestTopics(name="t", partition_indexes=list(range(count)))
    return OffsetFetchRequest(groups=[OffsetFetchRequest.OffsetFetchRequestGroup(group_id="g", topics=[topic])])


def size_of(request: Message, version: int) -> int:
    return len(joined(encode_request(request, version, 1, "test"))) - 4


async def test_a_request_about_many_things_is_answered_for_each_in_order(tmp_path: Path) -> None:
    names = [f"topic-{number}" for number in range(MANY)]
    names[7_777] = "t"
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 3, {})
        request = metadata(*names)
        assert size_of(request, 9) > LARGE_BYTES

        response = await client.ask(request, 9)

        assert isinstance(response, MetadataResponse)
        assert [topic.name for topic in response.topics] == names
        found = {topic.name: len(topic.partitions) for topic in response.topics if not topic.error_code}
        assert found == {"t": 3}
        assert server.broker.request_memory.used_bytes == 0
    assert gc.isenabled()


async def test_others_are_served_while_a_large_request_is_worked_on(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        WireClient(server.address) as large,
        WireClient(server.address) as small,
    ):
        await server.broker.cluster.create_topic("t", 1, {})
        large.send(offset_fetch(200_000), 8)
        await large.writer.drain()
        answer = asyncio.ensure_future(large.receive())
        served = 0
        while not answer.done():
            assert isinstance(await small.ask(VERSIONS, 3), ApiVersionsResponse)
            served += 1

        response = await answer
        assert isinstance(response, OffsetFetchResponse)
        ((topic,),) = [group.topics for group in response.groups]
        assert [part.partition_index for part in topic.partitions] == list(range(200_000))
        assert served > 50


async def test_what_follows_a_large_request_is_answered_after_it(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        client.send(offset_fetch(MANY), 8)
        client.send(VERSIONS, 3)
        client.send(metadata(*map(str, range(MANY))), 9)
        client.send(VERSIONS, 3)

        kinds = [type(await client.receive()) for _ in range(4)]

    assert kinds == [OffsetFetchResponse, ApiVersionsResponse, MetadataResponse, ApiVersionsResponse]


@pytest.mark.parametrize("acks", [pytest.param(1, marks=pytest.mark.slow), 0])
async def test_a_produce_to_very_many_partitions_is_one_produce(tmp_path: Path, acks: int) -> None:
    parts = [ProduceRequest.PartitionProduceData(index=5 + index, records=None) for index in range(200_000)]
    parts[0].records = parts[150_000].records = batch_of(b"v")
    parts[150_000].index = 5
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 6, {})
        topic = ProduceRequest.TopicProduceData(name="t", partition_data=parts)
        request = ProduceRequest(acks=acks, topic_data=[topic], timeout_ms=10_000)
        assert size_of(request, 9) > LARGE_BYTES_OF[PRODUCE]

        client.send(request, 9, answered=acks != 0)

        if acks == 0:  # Damage cannot be told, so the connection ends, as with Kafka.
            assert await client.ended()
        else:
            response = await client.receive()
            assert isinstance(response, ProduceResponse)
            answers = response.responses[0].partition_responses
            assert [answer.index for answer in answers] == [part.index for part in parts]
            taken = [(answer.index, answer.base_offset) for answer in answers if not answer.error_code]
            assert taken == [(5, 0), (5, 1)]
        assert server.broker.partition("t", 5).end_offset == 2
        await until(lambda: server.broker.request_memory.used_bytes == 0)


async def test_a_produce_of_a_large_batch_is_appended(tmp_path: Path) -> None:
    async with running_server(tmp_path, {"message.max.bytes": 5_000_000}) as server:
        await server.broker.cluster.create_topic("t", 1, {})
        async with WireClient(server.address) as client:
            response = await client.ask(produce("t", batch_of(b"x" * 2_000_000), acks=-1), 9)

    assert isinstance(response, ProduceResponse)
    assert produced(response) == [(ErrorCode.NONE, 0)]


async def test_a_thing_named_very_often_is_described_once(tmp_path: Path) -> None:
    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=2, resource_name="t", configuration_keys=None
    )
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        await server.broker.cluster.create_topic("t", 1, {})
        response = await client.ask(DescribeConfigsRequest(resources=[resource] * MANY), 4)

    assert isinstance(response, DescribeConfigsResponse)
    assert [result.resource_name for result in response.results] == ["t"]


async def test_a_request_of_names_that_is_too_large_to_be_read_ends_its_connection(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, WireClient(server.address) as client:
        frame = struct.pack(">ihhih", LARGEST_BYTES + 1, 3, 4, 1, -1) + bytes(LARGEST_BYTES + 1 - 10)
        client.writer.write(frame)

        assert await client.ended()
        await until(lambda: server.connection_count == 0)
        assert server.broker.request_memory.used_bytes == 0


async def test_a_large_request_that_is_damaged_ends_its_connection_and_no_other(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        WireClient(server.address) as bad,
        WireClient(server.address) as good,
    ):
        frame = bytearray(joined(encode_request(metadata(*map(str, range(MANY))), 4, 1, "test")))
        frame[-20:] = b"\xff" * 20
        bad.writer.write(bytes(frame))

        assert await bad.ended()
        assert isinstance(await good.ask(VERSIONS, 3), ApiVersionsResponse)
        assert server.broker.request_memory.used_bytes == 0


async def test_large_requests_of_clients_that_are_gone_give_their_memory_back(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        request = joined(encode_request(metadata(*map(str, range(MANY))), 9, 1, "test"))
        for _ in range(20):
            async with WireClient(server.address) as client:
                client.writer.write(request)
                await client.writer.drain()
        await until(lambda: server.connection_count == 0 and server.broker.request_memory.used_bytes == 0)
        async with WireClient(server.address) as client:
            assert isinstance(await client.ask(metadata("t"), 9), MetadataResponse)
