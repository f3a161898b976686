"""A transport that loses requests and answers, as a seed says."""

import random
from collections.abc import Collection, Sequence
from typing import Any

from millstream.core.client.network.connection import Connection, Transport
from millstream.core.client.network.versions import Ranges
from millstream.core.errors import NotConnected


class FaultyTransport:
    """Of the requests with one of `api_keys`, a share is lost on the way, and of the others' answers a share."""

    def __init__(self, inner: Transport, seed: int, api_keys: Collection[int], *, share: float = 0.2) -> None:
        self.inner = inner
        self.random = random.Random(seed)
        self.api_keys = api_keys
        self.share = share
        self.lost = 0

    @property
    def bootstrap(self) -> Sequence[tuple[str, int]]:
        return self.inner.bootstrap

    async def connect(self, host: str, port: int) -> Connection:
        return FaultyConnection(await self.inner.connect(host, port), self)

    def loses(self, api_key: int) -> bool:
        lost = api_key in self.api_keys and self.random.random() < self.share
        self.lost += lost
        return lost


class FaultyConnection:
    """See Connection. After a loss the connection is closed, as a real one would be."""

    def __init__(self, inner: Connection, transport: FaultyTransport) -> None:
        self._inner = inner
        self._transport = transport

    @property
    def ranges(self) -> Ranges:
        return self._inner.ranges

    @property
    def closed(self) -> bool:
        return self._inner.closed

    async def send(self, request: Any, version: int | None = None, timeout_ms: int | None = None) -> Any:
        if self._transport.loses(request.API_KEY):
            await self._inner.close()
            raise NotConnected("the request was lost")
        response = await self._inner.send(request, version, timeout_ms)
        if self._transport.loses(request.API_KEY):
            await self._inner.close()
            raise NotConnected("the answer was lost")
        return response

    async def post(self, request: Any, version: int | None = None) -> None:
        await self._inner.post(request, version)

    async def close(self) -> None:
        await self._inner.close()
