"""The connections of a client: one for each node and channel, opened when needed, reopened with back-off. Shell.

A broker answers one connection's requests in turn, so whatever waits there (a long poll, a join) has its own channel.
Tests: tests/core/client/test_nodes.py.
"""

import asyncio
import logging
import random
from collections.abc import Iterable

from ...errors import NotConnected, Retriable, WireError
from ...ports import Clock
from ..backoff import backoff_ms
from ..config import ClientConfig
from ..metadata import Node
from .connection import Connection, Transport

log = logging.getLogger(__name__)

MAIN = "main"
CLOSED = "the client is closed"

Address = tuple[str, int]
_UNUSABLE = (Retriable, WireError)  # Nobody there, no answer to the handshake, or one that is not Kafka's.


class Nodes:
    """Opens, keeps and closes connections."""

    def __init__(self, transport: Transport, config: ClientConfig, clock: Clock) -> None:
        self._transport = transport
        self._config = config
        self._clock = clock
        self._open: dict[tuple[Address, str], Connection] = {}
        self._locks: dict[tuple[Address, str], asyncio.Lock] = {}
        self._failures: dict[Address, int] = {}
        self._not_before_ms: dict[Address, int] = {}
        self._was_reached: set[Address] = set()
        self._closed = False

    async def connection(self, address: Address, channel: str = MAIN) -> Connection:
        """The connection to an address; opens it first where there is none. Raises Retriable, WireError."""
        found = self._open.get((address, channel))
        if found is not None and not found.closed:
            return found
        async with self._locks.setdefault((address, channel), asyncio.Lock()):
            found = self._open.get((address, channel))
            if found is not None and not found.closed:
                return found
            return await self._connect(address, channel)

    async def any(self, known: Iterable[Node], channel: str = MAIN) -> Connection:
        """A connection to some node: an open one, else to a known node, else to a bootstrap address."""
        addresses = [(node.host, node.port) for node in known]
        addresses += [address for address in self._transport.bootstrap if address not in addresses]
        for address in addresses:
            found = self._open.get((address, channel))
            if found is not None and not found.closed:
                return found
        reasons = []
        for address in sorted(addresses, key=lambda address: self._failures.get(address, 0)):
            try:
                return await self.connection(address, channel)
            except _UNUSABLE as error:
                reasons.append(str(error))
        raise NotConnected(
            f"no broker can be reached: {'; '.join(reasons)}; check bootstrap.servers, or start a broker"
        )

    async def close_channel(self, channel: str) -> None:
        """Close the connections of one channel."""
        for key in [key for key in self._open if key[1] == channel]:
            await self._open.pop(key).close()
        for key in [key for key in self._locks if key[1] == channel]:
            del self._locks[key]

    async def close(self) -> None:
        """Close all; no more can be opened."""
        self._closed = True
        while self._open:
            _, connection = self._open.popitem()
            await connection.close()

    async def _connect(self, address: Address, channel: str) -> Connection:
        wait_ms = self._not_before_ms.get(address, 0) - self._clock.monotonic_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)
        if self._closed:
            raise NotConnected(CLOSED)
        try:
            connection = await self._transport.connect(*address)
        except _UNUSABLE as error:
            failures = self._failures[address] = self._failures.get(address, 0) + 1
            if failures == 1 and address in self._was_reached:  # the first time of all, the caller says so
                log.warning("%s; trying until it answers again", error)
            delay_ms = backoff_ms(
                failures,
                first_ms=self._config.reconnect_backoff_ms,
                max_ms=self._config.reconnect_backoff_max_ms,
                random_unit=random.random(),
            )
            self._not_before_ms[address] = self._clock.monotonic_ms() + delay_ms
            raise
        if self._closed:
            await connection.close()
            raise NotConnected(CLOSED)
        if self._failures.pop(address, 0) and address in self._was_reached:
            log.warning("%s:%d answers again", *address)
        self._was_reached.add(address)
        self._not_before_ms.pop(address, None)
        self._open[address, channel] = connection
        return connection
