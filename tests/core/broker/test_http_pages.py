"""The few pages over HTTP, asked by Python's own client and by none that speaks HTTP."""

import asyncio
import http.client
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from millstream.core.broker.monitoring.http_pages import MAX_CONNECTIONS, HttpPages, Page
from millstream.core.broker.network.server import bind


async def _hello() -> Page:
    return Page(200, b"hello\n")


async def _broken() -> Page:
    raise RuntimeError("no")


@asynccontextmanager
async def pages() -> AsyncIterator[int]:
    sockets = bind("127.0.0.1", 0)
    async with HttpPages(sockets, {"/": _hello, "/broken": _broken}):
        yield sockets[0].getsockname()[1]


def get(port: int, *requests: tuple[str, str]) -> list[tuple[int, bytes]]:
    """Over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers = []
    for method, path in requests:
        connection.request(method, path)
        answer = connection.getresponse()
        answers.append((answer.status, answer.read()))
    connection.close()
    return answers


async def test_pages_are_served_over_one_connection_and_others_are_named() -> None:
    async with pages() as port:
        answers = await asyncio.to_thread(
            get,
            port,
            ("GET", "/?x=1"),
            ("HEAD", "/"),
            ("POST", "/"),
            ("GET", "/none"),
            ("GET", "/broken"),
            ("GET", "/"),
        )

    assert [status for status, _ in answers] == [200, 200, 405, 404, 500, 200]
    assert answers[0][1] == answers[5][1] == b"hello\n"
    assert answers[1][1] == b""
    assert answers[3][1] == b"there is no '/none'; /, /broken are\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 101 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_closed(sent: bytes) -> None:
    async with pages() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert await asyncio.to_thread(get, port, ("GET", "/")) == [(200, b"hello\n")]


async def test_connections_are_bounded_and_end_with_the_pages() -> None:
    async with pages() as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()

    for reader, writer in idle:
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
