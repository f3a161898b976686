"""A listening socket and its connections. Shell: `async with Server(broker, host, port)`.

Tested in tests/core/broker/test_server.py.
"""

import asyncio
import errno
import logging
import math
import socket
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from ...tasks import TaskScope
from .connection import Connection
from .large_requests import LargeRequests
from .listeners import ANY_ADDRESS, Listener

if TYPE_CHECKING:
    from ..broker import Broker
    from ..monitoring.metrics import Metrics

LOG = logging.getLogger(__name__)
RECEIVE_BUFFER_BYTES = 128 * 1024
"""One read's worth, shared by all connections: a read and its handling are one step of the event loop."""
IDLE_SWEEP_S = 30.0
SHORTEST_SWEEP_S = 0.01
PARTIAL_REQUEST_S = 60.0
"""How long the bytes of one request may take to come; Kafka's own clients give a request up after 30 s."""
SCARCE_PATIENCE_S = 3.0
SLOWEST_BYTES_S = 256 * 1024
"""Where there is no memory for more requests: how long one may take to begin in earnest, and how fast it must come."""
DRAIN_LOOK_S = 0.01
BACKLOG = 1024


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address of `host`, all with one port; nobody can connect before a Server takes them.

    Raises ConfigError, with the remedy, for an address that cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in sorted(set(found), key=lambda one: one[0] == socket.AF_INET6):
            try:
                sockets.append(_bound(family, (address[0], port, *address[2:])))
            except OSError as error:
                # A name may stand for an IPv6 address on a machine that has none.
                if not sockets or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise ConfigError(_listen_fault(host, port, error)) from error
    return sockets


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


class Server:
    """Accepts connections for one broker on one address; owns their tasks, and closes them when left.

    sockets: from bind(), where the address was to be had before the broker opened.
    listener: the one of the config that this server is; by default the first. metrics: told of each request.
    """

    def __init__(
        self,
        broker: "Broker",
        host: str,
        port: int,
        sockets: Sequence[socket.socket] = (),
        listener: Listener | None = None,
        metrics: "Metrics | None" = None,
        *,
        partial_request_s: float = PARTIAL_REQUEST_S,
        scarce_patience_s: float = SCARCE_PATIENCE_S,
    ) -> None:
        self.broker = broker
        self.metrics = metrics
        self.large_requests = LargeRequests(broker, metrics)
        self.listener = listener or broker.config.bound_listeners[0]
        self.loop = asyncio.get_running_loop()
        self.receive_buffer = memoryview(bytearray(RECEIVE_BUFFER_BYTES))
        self.max_frame_bytes = broker.config.socket_request_max_bytes
        self._partial_request_s = partial_request_s
        self._scarce_patience_s = scarce_patience_s
        self._tasks = TaskScope()
        self._host = host
        self._port = port
        self._sockets = sockets
        self._connections: dict[Connection, None] = {}
        self._listeners: list[asyncio.Server] = []

    @property
    def address(self) -> tuple[str, int]:
        """Host as asked for, and the port that is listened on."""
        return self._host, self._port

    @property
    def is_serving(self) -> bool:
        """Whether new connections are taken."""
        return bool(self._listeners) and all(listener.is_serving() for listener in self._listeners)

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def __aenter__(self) -> "Server":
        sockets = self._sockets or bind(self._host, self._port)
        self._port = sockets[0].getsockname()[1]
        self.broker.listening(self.address)
        await self._tasks.__aenter__()
        try:
            for opened in sockets:
                self._listeners.append(await self.loop.create_server(self._connection, sock=opened, backlog=BACKLOG))
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            if isinstance(error, OSError):  # Another process has begun to listen since the address was taken.
                raise ConfigError(_listen_fault(self._host, self._port, error)) from error
            raise
        self.run(self._close_idle())
        self.run(self._make_room())
        return self

    def _connection(self) -> Connection:
        if self.metrics is None:
            return Connection(self)
        from ..monitoring.timed_connection import TimedConnection

        return TimedConnection(self, self.metrics)

    async def drain(self, limit_s: float) -> None:
        """Takes no more connections and requests; returns when what was asked for is answered, or after `limit_s`.

        Those who wait for data or for members of their group are not waited for: their clients ask again.
        """
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.end()
        end_s = self.loop.time() + limit_s
        while any(not one.settled for one in self._connections) and self.loop.time() < end_s:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_LOOK_S)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._tasks.__aexit__(kind, error, traceback)
        for listener in self._listeners:
            await listener.wait_closed()

    def run(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs a request of a connection as a task of this server."""
        return self._tasks.start(work, name="request")

    def advertised_for(self, local_address: tuple[str, int]) -> tuple[str, int]:
        """The address that a client which came in by `local_address` is told to connect to.

        What `advertised.listeners` says of this listener, else the host that was asked for; when that is any address,
        the one that the client reached.
        """
        if self.listener.advertised is not None:
            return self.listener.advertised
        return local_address if self._host in ANY_ADDRESS else self.address

    def connections(self) -> tuple[Connection, ...]:
        """Those that are open, oldest first."""
        return tuple(self._connections)

    def admit(self, connection: Connection, peer: tuple[str, int]) -> str | None:
        """Takes a new connection in, or says why it has to be closed."""
        refusal = self.broker.connection_counts.admit(peer[0])
        if refusal is None:
            self._connections[connection] = None
        else:
            LOG.warning("refusing the connection from %s:%s: %s", *peer, refusal)
        return refusal

    def disconnected(self, connection: Connection, peer: tuple[str, int]) -> None:
        """One that was taken in is gone."""
        del self._connections[connection]
        self.broker.connection_counts.leave(peer[0])

    async def _close_idle(self) -> None:
        """Cuts off the peers that neither sent nor read anything for connections.max.idle.ms, and those that send a
        request too slowly."""
        limit_ms = self.broker.config.connections_max_idle_ms
        limit_s = math.inf if limit_ms < 0 else limit_ms / 1000
        pause_s = max(min(limit_s / 4, self._partial_request_s / 4, IDLE_SWEEP_S), SHORTEST_SWEEP_S)
        while True:
            await asyncio.sleep(pause_s)
            now_s = self.loop.time()
            for connection in tuple(self._connections):
                partial = connection.partial
                too_slow = partial is not None and partial[0] < now_s - self._partial_request_s
                if too_slow or connection.silent_since(now_s) < now_s - limit_s:
                    connection.abort()

    async def _make_room(self) -> None:
        """While requests wait for memory, cuts off the peers that hold some for requests that hardly come."""
        while True:
            await asyncio.sleep(self._scarce_patience_s / 3)
            now_s = self.loop.time()
            for connection in tuple(self._connections) if self.broker.request_memory.is_full else ():
                since_s, sent_bytes = connection.partial or (now_s, 0)
                if sent_bytes < (now_s - since_s - self._scarce_patience_s) * SLOWEST_BYTES_S:
                    LOG.warning("closing a connection: %d bytes of its request in %.0f s", sent_bytes, now_s - since_s)
                    connection.abort()


def _listen_fault(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        remedy = "stop that process or choose another address with --listen HOST:PORT (port 0 takes a free one)"
        return f"{where} is in use by another process; {remedy}"
    if error.errno == errno.EACCES:
        return f"not allowed to listen on {where}; choose a port from 1024 on with --listen HOST:PORT"
    reason = error.strerror or str(error)
    return f"cannot listen on {where}: {reason}; choose an address of this machine with --listen HOST:PORT"
