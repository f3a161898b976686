"""The barest client of the protocol, for tests that look at single frames. No retries, no metadata."""

import asyncio
import contextlib
import struct
from types import TracebackType

from millstream.core.wire.frames import decode_response, encode_request
from millstream.core.wire.message import Message


class WireClient:
    """`async with WireClient(address) as client`: requests and raw bytes out, responses in the order in which they
    come."""

    def __init__(
        self, address: tuple[str, int], *, receive_buffer_bytes: int | None = None, client_id: str = "test"
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._receive_buffer_bytes = receive_buffer_bytes
        self._correlation_id = 0
        self._sent: list[tuple[int, int, int]] = []

    async def __aenter__(self) -> "WireClient":
        limit = self._receive_buffer_bytes or 2**16
        self.reader, self.writer = await asyncio.open_connection(*self._address, limit=limit)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def send(self, request: Message, version: int, *, answered: bool = True) -> None:
        """Writes a request without waiting for anything."""
        self._correlation_id += 1
        if answered:
            self._sent.append((request.API_KEY, version, self._correlation_id))
        for part in encode_request(request, version, self._correlation_id, self._client_id):
            self.writer.write(part)

    async def receive(self) -> Message:
        """The answer to the oldest request that has none yet; asserts that it is that request's."""
        api_key, version, expected_id = self._sent.pop(0)
        correlation_id, response = decode_response(await self.receive_frame(), api_key, version)
        assert correlation_id == expected_id
        return response

    async def receive_frame(self) -> bytes:
        (size,) = struct.unpack(">i", await self.reader.readexactly(4))
        return await self.reader.readexactly(size)

    async def ask(self, request: Message, version: int) -> Message:
        self.send(request, version)
        return await self.receive()

    async def ended(self) -> bool:
        """True once the broker has closed the connection, and sent nothing before."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True
