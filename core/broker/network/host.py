"""What a connection needs of the server that it came in by: a protocol, which server.py meets."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from .large_requests import LargeRequests
from .listeners import Listener

if TYPE_CHECKING:
    from ..broker import Broker


class Host(Protocol):
    """receive_buffer: one read's worth, shared by all connections. max_frame_bytes: of one request."""

    broker: "Broker"
    listener: Listener
    large_requests: LargeRequests
    loop: asyncio.AbstractEventLoop
    receive_buffer: memoryview
    max_frame_bytes: int

    def admit(self, connection: Any, peer: tuple[str, int]) -> str | None:
        """Takes a new connection in, or says why it has to be closed."""
        ...

    def disconnected(self, connection: Any, peer: tuple[str, int]) -> None:
        """One that was taken in is gone."""
        ...

    def advertised_for(self, local_address: tuple[str, int]) -> tuple[str, int]:
        """The address that a client which came in by `local_address` is told to connect to."""
        ...

    def run(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs a request as a task that ends with the server."""
        ...
