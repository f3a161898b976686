"""Connections to a broker in the same process: the same request objects are handed over, no bytes in between. Shell.

As over TCP, the broker finishes what it has begun when its caller is cancelled or has waited long enough; only fetches,
which change nothing, end with their caller. Tests: tests/core/client/test_in_process.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ...errors import MillstreamError, NotConnected, Retriable
from ...tasks import TaskScope
from ...wire.apis import ApiKey
from ...wire.messages.k18_api_versions import ApiVersionsRequest
from .connection import check
from .versions import Ranges, choose_version, ranges_of

Handler = Callable[[Any, int, str], Awaitable[Any]]
HANDSHAKE_VERSION = 3
FINISH_TIMEOUT_S = 5

log = logging.getLogger(__name__)


class InProcessTransport:
    """Opens connections to one handler: `await handler(request, version, client_id)` gives the response."""

    def __init__(self, handler: Handler, *, client_id: str = "millstream", request_timeout_ms: int = 30_000) -> None:
        self._handler = handler
        self._client_id = client_id
        self._request_timeout_ms = request_timeout_ms

    @property
    def bootstrap(self) -> Sequence[tuple[str, int]]:
        return (("embedded", 0),)

    async def connect(self, host: str, port: int) -> "InProcessConnection":
        """The address is not used: there is one broker, whatever it advertises."""
        del host, port
        connection = InProcessConnection(self._handler, self._client_id, self._request_timeout_ms)
        try:
            await connection.open()
        except BaseException:
            await connection.close()
            raise
        return connection


class InProcessConnection:
    """One connection; see Connection for the contract. Requests run side by side, not in turn."""

    def __init__(self, handler: Handler, client_id: str, request_timeout_ms: int) -> None:
        self._handler = handler
        self._client_id = client_id
        self._request_timeout_ms = request_timeout_ms
        self._ranges: Ranges = {int(ApiKey.API_VERSIONS): (HANDSHAKE_VERSION, HANDSHAKE_VERSION)}
        self._scope = TaskScope()
        self._running: dict[asyncio.Task[None], int] = {}
        self._closed = False

    @property
    def ranges(self) -> Ranges:
        return self._ranges

    @property
    def closed(self) -> bool:
        return self._closed

    async def send(self, request: Any, version: int | None = None, timeout_ms: int | None = None) -> Any:
        if self._closed:
            raise NotConnected("the connection to the embedded broker is closed")
        if version is None:
            version = choose_version(self._ranges, request.API_KEY)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task = self._scope.start(self._handle(request, version, answer), name="in-process-request")
        self._running[task] = request.API_KEY
        task.add_done_callback(lambda done: self._running.pop(done, None))
        delay_ms = self._request_timeout_ms if timeout_ms is None else timeout_ms
        try:
            async with asyncio.timeout(delay_ms / 1000):
                return await answer
        except TimeoutError:
            name = ApiKey(request.API_KEY).name
            raise Retriable(f"the embedded broker did not answer {name} within {delay_ms} ms") from None
        finally:
            if request.API_KEY == ApiKey.FETCH:
                task.cancel()

    async def post(self, request: Any, version: int | None = None) -> None:
        await self.send(request, version)

    async def open(self) -> None:
        """Learn which versions the broker speaks."""
        await self._scope.__aenter__()
        response = await self.send(ApiVersionsRequest(client_software_name="millstream", client_software_version="0"))
        check(response.error_code, "the embedded broker refused the version handshake")
        self._ranges = ranges_of(response)

    async def close(self) -> None:
        """The broker may finish what it has begun, fetches excepted."""
        if self._closed:
            return
        self._closed = True
        for task, api_key in self._running.items():
            if api_key == ApiKey.FETCH:
                task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=FINISH_TIMEOUT_S)
        await self._scope.__aexit__(None, None, None)

    async def _handle(self, request: Any, version: int, answer: asyncio.Future[Any]) -> None:
        """Carry what the handler returns or raises over to the caller, if it still waits."""
        try:
            response = await self._handler(request, version, self._client_id)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        except Exception as error:  # Not swallowed: it is raised where the answer is awaited, or logged.
            if not answer.done():
                answer.set_exception(error)
            elif not isinstance(error, MillstreamError):
                log.exception("the embedded broker failed in a request whose caller has gone")
            return
        if not answer.done():
            answer.set_result(response)
