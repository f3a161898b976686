import asyncio
from typing import Any

import pytest

from millstream.core.client.network.in_process import InProcessTransport
from millstream.core.errors import NotConnected, ProtocolError, Retriable
from millstream.core.wire.apis import ApiKey
from millstream.core.wire.messages.k01_fetch import FetchRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from millstream.core.wire.messages.k18_api_versions import ApiVersionsResponse

RANGES = [
    ApiVersionsResponse.ApiVersion(api_key=12, min_version=0, max_version=3),
    ApiVersionsResponse.ApiVersion(api_key=1, min_version=4, max_version=12),
]


class Handler:
    """Answers heartbeats with what it was given, once `open` is set."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, int, str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.finished = 0

    async def __call__(self, request: Any, version: int, client_id: str) -> Any:
        if request.API_KEY == ApiKey.API_VERSIONS:
            return ApiVersionsResponse(api_keys=RANGES)
        self.seen.append((request, version, client_id))
        await self.open.wait()
        self.finished += 1
        return HeartbeatResponse(error_code=request.generation_id)


async def test_the_handler_gets_the_same_object_in_the_common_version():
    handler = Handler()
    connection = await InProcessTransport(handler, client_id="c").connect("anywhere", 1)
    request = HeartbeatRequest(generation_id=5)

    response = await connection.send(request)

    assert handler.seen[0][0] is request
    assert handler.seen[0][1:] == (3, "c")
    assert response.error_code == 5


async def test_requests_do_not_wait_for_one_another():
    handler = Handler()
    connection = await InProcessTransport(handler).connect("anywhere", 1)
    handler.open.clear()
    first = asyncio.ensure_future(connection.send(HeartbeatRequest(generation_id=1)))
    second = asyncio.ensure_future(connection.send(HeartbeatRequest(generation_id=2)))
    while len(handler.seen) < 2:
        await asyncio.wait([first, second], timeout=0.001)
    handler.open.set()

    assert [answer.error_code for answer in await asyncio.gather(first, second)] == [1, 2]


async def test_an_answer_that_does_not_come_is_given_up():
    handler = Handler()
    connection = await InProcessTransport(handler).connect("anywhere", 1)
    handler.open.clear()

    with pytest.raises(Retriable, match="did not answer HEARTBEAT within 5 ms"):
        await connection.send(HeartbeatRequest(), timeout_ms=5)


async def test_the_broker_finishes_what_it_has_begun_when_the_caller_goes():
    handler = Handler()
    connection = await InProcessTransport(handler).connect("anywhere", 1)
    handler.open.clear()
    caller = asyncio.ensure_future(connection.send(HeartbeatRequest(generation_id=1)))
    while not handler.seen:
        await asyncio.wait([caller], timeout=0.001)
    caller.cancel()
    await asyncio.wait([caller])
    assert handler.finished == 0
    closing = asyncio.ensure_future(connection.close())
    handler.open.set()
    await closing

    assert handler.finished == 1


async def test_a_fetch_ends_with_its_caller():
    handler = Handler()
    connection = await InProcessTransport(handler).connect("anywhere", 1)
    handler.open.clear()
    caller = asyncio.ensure_future(connection.send(FetchRequest()))
    while not handler.seen:
        await asyncio.wait([caller], timeout=0.001)
    caller.cancel()
    await connection.close()

    assert handler.finished == 0


async def test_what_the_handler_raises_is_raised_to_the_caller():
    async def handler(request: Any, *_: Any) -> Any:
        if request.API_KEY == ApiKey.API_VERSIONS:
            return ApiVersionsResponse(api_keys=RANGES)
        raise KeyError("a bug")

    connection = await InProcessTransport(handler).connect("anywhere", 1)

    with pytest.raises(KeyError, match="a bug"):
        await connection.send(HeartbeatRequest())
    await connection.close()


async def test_an_api_that_the_broker_lacks_is_said():
    connection = await InProcessTransport(Handler()).connect("anywhere", 1)

    with pytest.raises(ProtocolError, match="METADATA"):
        await connection.send(MetadataRequest())


async def test_a_closed_connection_is_closed():
    connection = await InProcessTransport(Handler()).connect("anywhere", 1)
    await connection.close()

    assert connection.closed
    with pytest.raises(NotConnected):
        await connection.send(HeartbeatRequest())
