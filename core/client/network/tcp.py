"""Connections over TCP, plain or TLS, with SASL. Shell.

Requests are pipelined, leave in the order of their calls, and are matched by correlation id. A response larger than the
receive buffer goes straight from the socket into a buffer of its own, which the response's record views keep alive: one
copy between kernel and decoder.
Source: Kafka protocol guide; KIP-511 for the version handshake. Tests: tests/core/client/test_tcp.py.
"""

import asyncio
import ssl
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from ...errors import ErrorCode, NotConnected, Retriable, WireError
from ...flow_control import write_parts
from ...wire.apis import ApiKey
from ...wire.frames import decode_response, encode_request
from ...wire.messages.k18_api_versions import ApiVersionsRequest
from ..config import ClientConfig
from .connection import check
from .sasl import authenticate
from .versions import Ranges, choose_version, ranges_of

RECEIVE_BUFFER_BYTES = 65_536
WRITE_HIGH_WATER_BYTES = 65_536
"""Bytes of requests that may wait for a slow peer before senders do."""
HANDSHAKE_VERSIONS = {int(ApiKey.API_VERSIONS): (0, 4)}
_LENGTH = struct.Struct(">i")
_CORRELATION_AND_ERROR = struct.Struct(">ih")


class _Waiting:
    """A request that has been sent and not been answered."""

    __slots__ = ("api_key", "future", "timer", "version")

    def __init__(self, api_key: int, version: int, future: asyncio.Future[Any]) -> None:
        self.api_key = api_key
        self.version = version
        self.future = future
        self.timer: asyncio.TimerHandle | None = None


class TcpTransport:
    """Opens TCP connections as the client's configuration says."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._tls = config.security.tls_context()

    @property
    def bootstrap(self) -> Sequence[tuple[str, int]]:
        return self._config.bootstrap_servers

    async def connect(self, host: str, port: int) -> "TcpConnection":
        loop = asyncio.get_running_loop()
        config = self._config
        connection = TcpConnection(config, f"{host}:{port}", loop)
        try:
            async with asyncio.timeout(config.socket_connection_setup_timeout_ms / 1000):
                server_hostname = host if self._tls else None
                await loop.create_connection(
                    lambda: connection, host, port, ssl=self._tls, server_hostname=server_hostname
                )
                await connection.shake_hands()
        except TimeoutError:
            await connection.close()
            raise NotConnected(
                f"{host}:{port} did not answer in {config.socket_connection_setup_timeout_ms} ms"
            ) from None
        except (OSError, ssl.SSLError) as error:
            await connection.close()
            raise NotConnected(f"cannot connect to {host}:{port}: {error}") from error
        except BaseException:
            await connection.close()
            raise
        return connection


class TcpConnection(asyncio.BufferedProtocol):
    """One TCP connection; see Connection for the contract."""

    def __init__(self, config: ClientConfig, address: str, loop: asyncio.AbstractEventLoop) -> None:
        self._config = config
        self._address = address
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._ranges: Ranges = HANDSHAKE_VERSIONS
        self._waiting: dict[int, _Waiting] = {}
        self._next_correlation = 0
        self._scratch = memoryview(bytearray(RECEIVE_BUFFER_BYTES))
        self._scratch_used = 0
        self._frame: memoryview | None = None
        self._frame_used = 0
        self._paused = False
        self._turns: deque[asyncio.Future[None]] = deque()
        """Those who wait to write, in order; only the first is ever told that it may."""
        self._took_s = 0.0
        """When the peer last took what was written."""
        self._lost: asyncio.Future[None] = loop.create_future()
        self._fault: Exception | None = None

    # -- the contract of Connection

    @property
    def ranges(self) -> Ranges:
        return self._ranges

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def send(self, request: Any, version: int | None = None, timeout_ms: int | None = None) -> Any:
        if version is None:
            version = choose_version(self._ranges, request.API_KEY)
        delay_ms = self._config.request_timeout_ms if timeout_ms is None else timeout_ms
        if self._paused or self._turns:
            await self._turn(delay_ms)
        waiting = _Waiting(request.API_KEY, version, self._loop.create_future())
        correlation = self._write(request, version)
        self._waiting[correlation] = waiting
        waiting.timer = self._loop.call_later(delay_ms / 1000, self._expire, correlation, delay_ms)
        return await waiting.future

    async def post(self, request: Any, version: int | None = None) -> None:
        if version is None:
            version = choose_version(self._ranges, request.API_KEY)
        if self._paused or self._turns:
            await self._turn(self._config.request_timeout_ms)
        self._write(request, version)

    async def close(self) -> None:
        if self._transport is None:
            return
        self._transport.close()
        await asyncio.wait([self._lost], timeout=1)
        if not self._lost.done():
            self._transport.abort()

    async def shake_hands(self) -> None:
        """Learn the peer's versions, then log in if the configuration asks for it."""
        response = await self.send(
            ApiVersionsRequest(client_software_name="millstream", client_software_version=self._config.software_version)
        )
        if response.error_code == ErrorCode.UNSUPPORTED_VERSION:
            ranges = {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}
            newest = choose_version(ranges, ApiKey.API_VERSIONS, newest=3) if ranges else 0
            response = await self.send(
                ApiVersionsRequest(
                    client_software_name="millstream", client_software_version=self._config.software_version
                ),
                newest,
            )
        check(response.error_code, f"{self._address} refused the version handshake")
        self._ranges = ranges_of(response)
        if self._config.security.sasl_mechanism is not None:
            await authenticate(self, self._config.security)

    # -- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it.
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        if self._frame is not None:
            return self._frame[self._frame_used :]
        return self._scratch[self._scratch_used :]

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if self._frame is None:
                self._scratch_used += nbytes
                self._split_scratch()
                return
            self._frame_used += nbytes
            if self._frame_used == len(self._frame):
                frame, self._frame = self._frame, None
                self._dispatch(frame)
        except WireError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._fault is None:
            reason = f": {exc}" if exc else " by the peer"
            self._fault = NotConnected(f"the connection to {self._address} was closed{reason}")
        for waiting in self._waiting.values():
            self._settle(waiting, error=self._fault)
        self._waiting.clear()
        self.resume_writing()
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._took_s = self._loop.time()
        self._next_turn()

    # -- below: how it is done

    async def _turn(self, timeout_ms: int) -> None:
        """Wait for the peer to take requests again, behind those who came before; who returns writes at once.

        A connection on which nothing is taken for so long is given up.
        """
        turn: asyncio.Future[None] = self._loop.create_future()
        self._turns.append(turn)
        begun_s, may_write = self._loop.time(), False
        try:
            while not may_write:
                left_s = max(begun_s, self._took_s) + timeout_ms / 1000 - self._loop.time()
                if left_s <= 0:
                    reason = f"{self._address} took no request for {timeout_ms} ms"
                    self._fail(NotConnected(f"{reason}; the connection was given up"))
                    raise Retriable(reason)
                await asyncio.wait([turn], timeout=left_s)
                may_write = turn.done()
        finally:
            self._turns.remove(turn)
            if not may_write:
                self._next_turn()

    def _next_turn(self) -> None:
        if self._turns and not self._paused and not self._turns[0].done():
            self._turns[0].set_result(None)

    def _write(self, request: Any, version: int) -> int:
        """Put a request on the wire; returns its correlation id."""
        try:
            if self._transport is None or self._transport.is_closing():
                raise NotConnected(f"the connection to {self._address} is closed") from self._fault
            correlation = self._next_correlation
            self._next_correlation = (correlation + 1) & 0x7FFF_FFFF
            parts = encode_request(request, version, correlation, self._config.client_id)
            write_parts(self._transport, parts, WRITE_HIGH_WATER_BYTES)
            return correlation
        finally:
            self._next_turn()

    def _split_scratch(self) -> None:
        """Hand on every whole frame; give a frame that is not complete a buffer of its own."""
        at, end = 0, self._scratch_used
        while end - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._scratch, at)
            if not _CORRELATION_AND_ERROR.size - 2 <= length <= self._config.max_response_bytes:
                raise WireError(
                    f"{self._address} announces a response of {length} bytes; "
                    f"4 to {self._config.max_response_bytes} are allowed"
                )
            at += _LENGTH.size
            taken = min(length, end - at)
            frame = memoryview(bytearray(length))
            frame[:taken] = self._scratch[at : at + taken]
            at += taken
            if taken < length:
                self._frame, self._frame_used = frame, taken
                break
            self._dispatch(frame)
        self._scratch[: end - at] = bytes(self._scratch[at:end])
        self._scratch_used = end - at

    def _dispatch(self, frame: memoryview) -> None:
        """Match a response with its request and hand it to the one who waits."""
        (correlation,) = _LENGTH.unpack_from(frame)
        waiting = self._waiting.pop(correlation, None)
        if waiting is None:
            raise WireError(f"{self._address} answers correlation id {correlation}, which no request has")
        version = waiting.version
        if waiting.api_key == ApiKey.API_VERSIONS and _is_version_refused(frame):
            version = 0  # KIP-511: a version that the broker does not know is answered in version 0.
        if waiting.future.done():
            self._settle(waiting)
            return
        try:
            _, message = decode_response(frame, waiting.api_key, version)
        except WireError as error:
            self._settle(waiting, error=error)
            raise
        self._settle(waiting, message)

    @staticmethod
    def _settle(waiting: _Waiting, message: Any = None, error: Exception | None = None) -> None:
        if waiting.timer is not None:
            waiting.timer.cancel()
        if waiting.future.done():
            return
        if error is not None:
            waiting.future.set_exception(error)
        else:
            waiting.future.set_result(message)

    def _expire(self, correlation: int, delay_ms: int) -> None:
        waiting = self._waiting.pop(correlation, None)
        if waiting is None:
            return
        name = ApiKey(waiting.api_key).name
        self._settle(waiting, error=Retriable(f"{self._address} did not answer {name} within {delay_ms} ms"))
        self._fail(NotConnected(f"the connection to {self._address} was given up: {name} took over {delay_ms} ms"))

    def _fail(self, fault: Exception) -> None:
        """Break the connection off; all who wait get a NotConnected with the reason."""
        if self._fault is None:
            self._fault = fault if isinstance(fault, NotConnected) else NotConnected(str(fault))
        if self._transport is not None:
            self._transport.abort()


def _is_version_refused(frame: memoryview) -> bool:
    """Whether a response of any version begins with the error UNSUPPORTED_VERSION."""
    if len(frame) < _CORRELATION_AND_ERROR.size:
        return False
    return bool(_CORRELATION_AND_ERROR.unpack_from(frame)[1] == ErrorCode.UNSUPPORTED_VERSION)
