"""Pages for GET, over HTTP/1.1, one after the other on each connection. Shell.

Enough for Prometheus, probes and curl: no bodies, no TLS. aiohttp would add 11 MB and 0.4 s to a broker that has 21 MB
and is ready in less. Bounded: line length, headers, time, connections. Tested in tests/core/broker/test_http_pages.py.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

LOG = logging.getLogger(__name__)
MAX_LINE_BYTES = 8 * 1024
MAX_HEADERS = 100
MAX_CONNECTIONS = 50
IDLE_S = 60.0
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}
REASONS |= {503: "Service Unavailable"}
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    body: bytes
    content_type: str = TEXT


class _BadRequest(Exception):
    """What came is not HTTP."""


class HttpPages:
    """`async with HttpPages(sockets, {"/path": page})` answers until it is left."""

    def __init__(self, sockets: Sequence[socket.socket], pages: Mapping[str, Callable[[], Awaitable[Page]]]) -> None:
        self._sockets = sockets
        self._pages = pages
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "HttpPages":
        for opened in self._sockets:
            self._servers.append(await asyncio.start_server(self._accept, sock=opened, limit=MAX_LINE_BYTES))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            LOG.debug("an HTTP client went away")
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        going_on = True
        while going_on:
            async with asyncio.timeout(IDLE_S):
                try:
                    method, path, going_on = await _request(reader)
                except (_BadRequest, ValueError, UnicodeDecodeError):
                    _write(writer, Page(400, b"not an HTTP request\n"), going_on=False, with_body=True)
                    await writer.drain()
                    return
            if not method:
                return
            page = await self._page(method, path)
            async with asyncio.timeout(IDLE_S):
                _write(writer, page, going_on=going_on, with_body=method != "HEAD")
                await writer.drain()

    async def _page(self, method: str, path: str) -> Page:
        make = self._pages.get(path.partition("?")[0])
        if make is None:
            return Page(404, f"there is no {path!r}; {', '.join(self._pages)} are\n".encode())
        if method not in ("GET", "HEAD"):
            return Page(405, b"GET only\n")
        try:
            return await make()
        except Exception:  # The outermost loop of a page: logged, and the pages go on.
            LOG.exception("%s failed", path)
            return Page(500, b"the page could not be made; see the broker's log\n")


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bool]:
    """Method, path, and whether the connection stays open; an empty method at its end."""
    line = await reader.readline()
    if not line:
        return "", "", False
    parts = line.decode("ascii").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequest
    going_on = parts[2] == "HTTP/1.1"
    for _ in range(MAX_HEADERS):
        header = (await reader.readline()).decode("latin-1").strip()
        if not header:
            return parts[0], parts[1], going_on
        name, _, value = header.partition(":")
        if name.lower() == "connection":
            going_on = value.strip().lower() != "close" and going_on
        if name.lower() in ("content-length", "transfer-encoding") and value.strip() != "0":
            going_on = False
    raise _BadRequest


def _write(writer: asyncio.StreamWriter, page: Page, *, going_on: bool, with_body: bool) -> None:
    head = (
        f"HTTP/1.1 {page.status} {REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\nConnection: {'keep-alive' if going_on else 'close'}\r\n\r\n"
    )
    writer.write(head.encode() + (page.body if with_body else b""))
