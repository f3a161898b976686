"""Connections to a broker in the same process: the same request objects are handed over, no bytes in between. Shell.

The handler is the broker's one entry. A broker that is not there any more raises NotConnected.
Tests: tests/core/client/test_in_process.py.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..errors import NotConnected, Retriable
from ..wire.apis import ApiKey
from ..wire.messages.k18_api_versions import ApiVersionsRequest
from .connection import check
from .versions import Ranges, choose_version

Handler = Callable[[Any, int, str], Awaitable[Any]]
HANDSHAKE_VERSION = 3


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
        await connection.shake_hands()
        return connection


class InProcessConnection:
    """One connection; see Connection for the contract. Requests run side by side, not in turn."""

    def __init__(self, handler: Handler, client_id: str, request_timeout_ms: int) -> None:
        self._handler = handler
        self._client_id = client_id
        self._request_timeout_ms = request_timeout_ms
        self._ranges: Ranges = {int(ApiKey.API_VERSIONS): (HANDSHAKE_VERSION, HANDSHAKE_VERSION)}
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
        delay_ms = self._request_timeout_ms if timeout_ms is None else timeout_ms
        try:
            async with asyncio.timeout(delay_ms / 1000):
                return await self._handler(request, version, self._client_id)
        except TimeoutError:
            name = ApiKey(request.API_KEY).name
            raise Retriable(f"the embedded broker did not answer {name} within {delay_ms} ms") from None

    async def post(self, request: Any, version: int | None = None) -> None:
        await self.send(request, version)

    async def close(self) -> None:
        self._closed = True

    async def shake_hands(self) -> None:
        """Learn which versions the broker speaks."""
        response = await self.send(ApiVersionsRequest(client_software_name="millstream", client_software_version="0"))
        check(response.error_code, "the embedded broker refused the version handshake")
        self._ranges = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
