import asyncio

import pytest
from core.client.conftest import Target
from core.client.reading import new_topic

from millstream.core.client.client import Client
from millstream.core.client.config import client_config
from millstream.core.client.link import GROUP
from millstream.core.client.network.in_process import InProcessTransport
from millstream.core.client.network.tcp import TcpTransport
from millstream.core.errors import BackOff, ErrorCode, NotConnected, ProtocolError, Retriable
from millstream.core.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from millstream.core.wire.messages.k15_describe_groups import DescribeGroupsRequest
from millstream.core.wire.messages.k18_api_versions import ApiVersionsResponse


async def test_a_client_learns_the_cluster_and_closes_its_connections(cluster: Target):
    async with cluster.client() as client:
        assert client.cluster.nodes
        connection = await client.node()
    assert connection.closed


async def test_no_broker_is_said_in_time():
    config = client_config({"bootstrap.servers": "127.0.0.1:1", "socket.connection.setup.timeout.ms": 2_000})

    with pytest.raises(NotConnected, match=r"no broker can be reached: cannot connect to 127\.0\.0\.1:1"):
        async with Client(config, TcpTransport(config)):
            pass


async def test_refreshes_at_the_same_time_share_one_request():
    requests: list[MetadataRequest] = []

    async def handler(request: object, *_: object) -> object:
        if not isinstance(request, MetadataRequest):
            ranges = [ApiVersionsResponse.ApiVersion(api_key=3, min_version=4, max_version=12)]
            return ApiVersionsResponse(api_keys=ranges)
        requests.append(request)
        await asyncio.sleep(0)
        return MetadataResponse()

    async with Client(client_config({}), InProcessTransport(handler)) as client:
        requests.clear()
        await asyncio.gather(*(client.refresh([f"t{number}"]) for number in range(20)))

    # The first one begins at once; what the others want is in the second.
    assert [len(request.topics or []) for request in requests] == [1, 20]


async def test_a_topic_that_does_not_appear_in_time_is_named(cluster: Target):
    async with cluster.client() as client:
        with pytest.raises(ProtocolError, match="topic 'missing'") as caught:
            await client.topics(["missing"], timeout_ms=150)
        assert caught.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_a_topic_is_awaited_until_it_is_there(cluster: Target):
    async with cluster.client() as client:
        topic = cluster.name()
        waiting = asyncio.ensure_future(client.topics([topic]))
        await asyncio.sleep(0)
        await new_topic(client, topic)

        assert (await waiting).leader(topic, 0) is not None


async def test_a_topic_that_is_only_watched_is_not_made_together_with_another(cluster: Target):
    async with cluster.client() as client:
        watched, wanted = cluster.name("watched"), cluster.name("wanted")
        client.watch([watched])

        await client.topics([wanted], auto_create=True)
        await client.refresh()

        assert {watched, wanted} & set(await client.admin.list_topics()) == {wanted}


async def test_a_coordinator_that_moved_is_looked_up_again(cluster: Target):
    async with cluster.client() as client:
        group = cluster.name("group")
        answers = iter([ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NONE])

        await client.ask_coordinator(
            GROUP, group, DescribeGroupsRequest(groups=[group]), codes=lambda _: (next(answers),)
        )

        assert next(answers, None) is None


def offline() -> Client:
    async def handler(*_: object) -> object:
        raise NotConnected("nobody")

    config = client_config({"retry.backoff.ms": 1, "retry.backoff.max.ms": 2})
    return Client(config, InProcessTransport(handler))


@pytest.mark.parametrize(
    "error", [Retriable("later"), NotConnected("gone"), BackOff("wait", 1), ProtocolError(ErrorCode.NOT_CONTROLLER)]
)
async def test_passing_failures_are_tried_again(error: Exception):
    failures = iter([error, error])

    async def attempt() -> str:
        for failure in failures:
            raise failure
        return "done"

    assert await offline().retrying("this", attempt) == "done"


async def test_lasting_failures_are_not():
    calls = []

    async def attempt() -> None:
        calls.append(1)
        raise ProtocolError(ErrorCode.INVALID_REQUEST)

    with pytest.raises(ProtocolError):
        await offline().retrying("this", attempt)
    assert len(calls) == 1


async def test_when_time_is_up_the_last_failure_says_how_often_it_was_tried():
    async def attempt() -> None:
        raise Retriable("later")

    with pytest.raises(Retriable, match="later") as caught:
        await offline().retrying("this", attempt, timeout_ms=10)
    assert "this: given up after" in caught.value.__notes__[0]
