"""One client's connection: frames in, responses out in the order of their requests. Shell.

Requests of a connection are worked on one at a time, as in Kafka, except that produces may follow a produce that
waits for the disk: all of them are appended in order already. Reading stops while the peer does not read its responses.
Tested in tests/core/broker/test_connection.py.
"""

import asyncio
import logging
import struct
from collections import deque
from typing import Any, cast

from ...errors import ErrorCode, ProtocolError, WireError
from ...ports import SMALLEST_RANGE_BYTES
from ...wire.frames import encode_response
from ...wire.message import Message
from ..context import RequestContext
from ..failures import NO_ANSWER, answered, failure_response
from ..handlers import Handler, handler
from ..handlers.k18_api_versions import api_versions_response
from .frame_reader import FrameReader
from .host import Host
from .large_requests import LARGE_BYTES, PRODUCE, WAIT_FOR_OTHERS, is_large
from .openings import Opening
from .response_writer import ResponseWriter

LOG = logging.getLogger(__name__)
API_VERSIONS = 18
LARGE = -1  # Stands for the API key of a large request that does not wait for others.
MAX_WAITING_FRAMES = 32
MAX_WAITING_FRAME_BYTES = 4 * 1024 * 1024
"""What a client may have sent ahead of the request that is worked on; beyond that its socket is not read."""
MAX_UNANSWERED = 256
WRITE_HIGH_WATER_BYTES = 1024 * 1024
"""Bytes of answers that may wait for a slow peer before its next request is put off."""
JOINED_RESPONSE_BYTES = SMALLEST_RANGE_BYTES
"""Up to here answers are copied into one buffer; in these there is no range of a file."""
_KIND_AND_CORRELATION = struct.Struct(">ii")
_KEY_AND_VERSION = struct.Struct(">hh")


class Slot:
    """A request whose response is not there yet, or waits for the ones before it. observed: see TimedConnection."""

    __slots__ = ("api_key", "done", "observed", "parts", "request_bytes")

    def __init__(self, api_key: int, request_bytes: int) -> None:
        self.api_key = api_key
        self.request_bytes = request_bytes
        self.done = False
        self.observed: Any = None
        self.parts: list[Any] = []


class Connection(asyncio.BufferedProtocol):
    """State of one TCP connection; the server owns the tasks."""

    def __init__(self, server: Host) -> None:
        self._server = server
        self._memory = server.broker.request_memory
        self._reader = FrameReader(server.receive_buffer, server.max_frame_bytes, self._memory, self._has_memory)
        self._transport: asyncio.Transport | None = None
        self._writer: ResponseWriter | None = None
        self._frames: deque[memoryview | bytes] = deque()
        self._frame_bytes = 0
        self._slots: deque[Slot] = deque()
        self._out: list[Any] = []
        self._out_bytes = 0
        self._waiting: set[asyncio.Future[Any]] = set()
        self._openings: dict[int, Opening] = {}
        self._peer: tuple[str, int] = ("", 0)
        self._local: tuple[str, int] = ("", 0)
        self._writing_paused = False
        self._reading_paused = False
        self._ending = False
        self._last_active_s = 0.0
        self._partial_since_s: float | None = None
        self._unread_bytes_before = 0

    # The transport calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        refusal = self._server.admit(self, peer)
        if refusal is not None:
            cast(asyncio.Transport, transport).abort()
            return
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER_BYTES)
        self._writer = ResponseWriter(self._transport, WRITE_HIGH_WATER_BYTES)
        self._peer = peer
        self._local = self._server.advertised_for((transport.get_extra_info("sockname") or ("", 0))[:2])
        self._last_active_s = self._server.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._transport is None or self._writer is None:
            return
        self._transport = None
        self._writer.drop()
        self._drop_frames()
        self._reader.close()
        self._memory.give(sum(slot.request_bytes for slot in self._slots))
        self._slots.clear()
        self._out.clear()
        for waiting in tuple(self._waiting):
            # A task may be half way through a change that others see; as in Kafka it runs on, and its answer is
            # dropped.
            if not isinstance(waiting, asyncio.Task):
                waiting.cancel()
        self._server.disconnected(self, self._peer)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if self._transport is None:
            return
        self._last_active_s = self._server.loop.time()
        self._received(self._reader.received(nbytes))

    def _received(self, frames: list[memoryview | bytes]) -> None:
        reader = self._reader
        if not reader.is_partial or reader.starved:
            self._partial_since_s = None
        elif frames or self._partial_since_s is None:
            self._partial_since_s = self._last_active_s
        if len(frames) == 1 and not self._frames and self._may_start(frames[0]):
            self._start(frames[0])
            if self._out:
                self._write()
            if reader.starved or self._writing_paused:
                self._pace_reading()
        elif frames:
            self._frames.extend(frames)
            self._frame_bytes += sum(map(len, frames))
            self._advance()
        elif reader.starved:
            self._pace_reading()
        if reader.fault is not None:
            self._refuse(reader.fault)

    def _is_open(self) -> bool:
        return self._transport is not None

    def _has_memory(self) -> None:
        """It is this connection's turn to take the memory that it lacked."""
        self._server.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._transport is None:
            return
        self._last_active_s = self._server.loop.time()
        self._received(self._reader.retry())
        self._pace_reading()

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._pace_reading()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._last_active_s = self._server.loop.time()
        if self._writer is not None:
            self._writer.go_on()
        self._advance()

    # The server calls these.

    def silent_since(self, now_s: float) -> float:
        """When the peer was last heard of, by the loop's clock. A request that is worked on counts, and slow reading
        too."""
        if self._slots or self.unread_bytes != self._unread_bytes_before:
            self._unread_bytes_before = self.unread_bytes
            self._last_active_s = now_s
        return self._last_active_s

    @property
    def partial(self) -> tuple[float, int] | None:
        """Of a request that is not whole yet: when it began, by the loop's clock, and its bytes; None without."""
        return None if self._partial_since_s is None else (self._partial_since_s, self._reader.partial_bytes)

    @property
    def unread_bytes(self) -> int:
        """Bytes of answers that the peer has not taken yet."""
        return self._writer.unsent_bytes if self._transport is not None and self._writer is not None else 0

    def end(self) -> None:
        """Begins no more requests."""
        self._ending = True
        self._pace_reading()

    @property
    def waiting_requests(self) -> int:
        """Requests that have come and are not begun."""
        return len(self._frames)

    @property
    def settled(self) -> bool:
        """Whether all that was begun is answered and taken, but for what waits for others."""
        return not self.unread_bytes and all(slot.api_key in WAIT_FOR_OTHERS for slot in self._slots)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Requests.

    def _advance(self) -> None:
        frames = self._frames
        while frames and self._may_start(frames[0]):
            frame = frames.popleft()
            self._frame_bytes -= len(frame)
            self._start(frame)
            if self._out_bytes > JOINED_RESPONSE_BYTES:
                self._write()
        if self._out:
            self._write()
        self._pace_reading()

    def _may_start(self, frame: memoryview | bytes) -> bool:
        if self._writing_paused or self._ending or self._transport is None or self._transport.is_closing():
            return False
        slots = self._slots
        if not slots:
            return True
        if slots[-1].api_key != PRODUCE or len(slots) >= MAX_UNANSWERED:
            return False
        return frame[0] == 0 and frame[1] == PRODUCE

    def _start(self, frame: memoryview | bytes) -> None:
        kind, correlation_id = _KIND_AND_CORRELATION.unpack_from(frame)
        opening = self._openings.get(kind)
        try:
            if opening is None or not opening.begins(frame):
                opening = self._opening(frame, kind, correlation_id)
                if opening is None:
                    return
            served, context, api_key = opening.served, opening.context, kind >> 16
            message = None if len(frame) > LARGE_BYTES and is_large(api_key, frame) else opening.decode(frame)
        except WireError as error:
            self._memory.give(len(frame))
            self._refuse(error)
            return
        if message is None:
            slot = self._slot(api_key if api_key in WAIT_FOR_OTHERS else LARGE, 0)
            large = self._server.large_requests.answer(frame, served, context, correlation_id, self._is_open)
            self._wait(self._server.run(large), slot, context, correlation_id)
            return
        outcome = self._outcome(served, message, context)
        if isinstance(outcome, asyncio.Future):
            slot = self._slot(api_key, len(frame))
            if api_key in WAIT_FOR_OTHERS:
                # Others could not send what it waits for, were all the memory held by such.
                self._give_back(slot)
            self._wait(outcome, slot, context, correlation_id)
        elif self._slots:
            self._answer(self._slot(api_key, len(frame)), outcome, context, correlation_id)
        else:
            self._answer_at_once(len(frame), outcome, context, correlation_id)

    def _slot(self, api_key: int, request_bytes: int) -> Slot:
        slot = Slot(api_key, request_bytes)
        self._slots.append(slot)
        return slot

    def _outcome(self, served: Handler, message: Any, context: RequestContext) -> Any:
        server = self._server
        if served.start is None:
            assert served.handle is not None
            return server.run(answered(served.handle(server.broker, message, context), context))
        try:
            return served.start(server.broker, message, context)
        except Exception as error:  # The outermost loop of this request: logged, answered, and the server goes on.
            return failure_response(error, context)

    def _opening(self, frame: memoryview | bytes, kind: int, correlation_id: int) -> Opening | None:
        """Of a request that begins as none did before; None where its version is refused. Raises WireError."""
        api_key, api_version = _KEY_AND_VERSION.unpack_from(frame)
        served = handler(api_key)
        if served is None or not served.versions[0] <= api_version <= served.versions[1]:
            self._refuse_version(api_key, api_version, correlation_id, len(frame))
            return None
        opening = Opening(frame, served, api_version, self._peer[0], self._server.listener.name, self._local)
        if opening.is_kept:
            self._openings[kind] = opening
        return opening

    # Responses.

    def _wait(self, outcome: "asyncio.Future[Any]", slot: Slot, context: RequestContext, correlation_id: int) -> None:
        self._waiting.add(outcome)
        outcome.add_done_callback(lambda done: self._waited(done, slot, context, correlation_id))

    def _waited(self, done: "asyncio.Future[Any]", slot: Slot, context: RequestContext, correlation_id: int) -> None:
        self._waiting.discard(done)
        if self._transport is None or done.cancelled():
            return
        error = done.exception()
        outcome = done.result() if error is None else failure_response(error, context)
        self._answer(slot, outcome, context, correlation_id)
        self._advance()

    def _answer(self, slot: Slot, outcome: Any, context: RequestContext, correlation_id: int) -> None:
        parts = self._encoded(outcome, context, correlation_id)
        if parts is None:
            return
        slot.parts = parts
        slot.done = True
        self._give_back(slot)
        slots = self._slots
        while slots and slots[0].done:
            self._release(slots.popleft())

    def _release(self, slot: Slot) -> None:
        """All answers before this one are on their way."""
        self._out += slot.parts
        self._out_bytes += sum(map(len, slot.parts))

    def _answer_at_once(self, request_bytes: int, outcome: Any, context: RequestContext, correlation_id: int) -> None:
        """Nothing is ahead of this answer."""
        self._memory.give(request_bytes)
        parts = self._encoded(outcome, context, correlation_id)
        if parts:
            self._out += parts
            self._out_bytes += sum(map(len, parts))

    def _encoded(self, outcome: Any, context: RequestContext, correlation_id: int) -> list[Any] | None:
        """The bytes of an answer, none where the protocol has none; None where the connection had to be ended."""
        if isinstance(outcome, Message):
            try:
                return encode_response(outcome, context.api_key, context.api_version, correlation_id)
            except WireError:
                LOG.exception("the answer to API key %d cannot be written", context.api_key)
        elif outcome is None or type(outcome) is list:
            return outcome or []  # The answer to a large request is written already.
        elif outcome is not NO_ANSWER:
            self._refuse(outcome)  # What is wrong with a large request.
            return None
        self.abort()
        return None

    def _give_back(self, slot: Slot) -> None:
        size, slot.request_bytes = slot.request_bytes, 0
        self._memory.give(size)

    def _write(self) -> None:
        """Small answers that have become ready together go out together."""
        parts, self._out = self._out, []
        size, self._out_bytes = self._out_bytes, 0
        transport = self._transport
        if transport is None or self._writer is None:
            return
        if size > JOINED_RESPONSE_BYTES or self._writer.is_holding:
            self._writer.write(parts)
        else:
            transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    # Refusals.

    def _refuse_version(self, api_key: int, api_version: int, correlation_id: int, request_bytes: int) -> None:
        """KIP-511: a client that is newer than this broker learns the versions from a v0 answer; others are cut off."""
        if api_key == API_VERSIONS:
            slot = self._slot(api_key, request_bytes)
            response = api_versions_response(ErrorCode.UNSUPPORTED_VERSION)
            self._answer(slot, response, RequestContext(API_VERSIONS, 0), correlation_id)
            return
        self._memory.give(request_bytes)
        self._refuse(ProtocolError(ErrorCode.UNSUPPORTED_VERSION, f"API key {api_key} in version {api_version}"))

    def _refuse(self, error: WireError | ProtocolError) -> None:
        LOG.warning("closing the connection from %s:%s: %s", *self._peer, error)
        self._drop_frames()
        if self._transport is not None:
            self._write()
            self._transport.close()

    def _drop_frames(self) -> None:
        self._frames.clear()
        self._memory.give(self._frame_bytes)
        self._frame_bytes = 0

    def _pace_reading(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        pause = (
            self._writing_paused
            or self._ending
            or self._reader.starved
            or len(self._frames) >= MAX_WAITING_FRAMES
            or self._frame_bytes >= MAX_WAITING_FRAME_BYTES
        )
        if pause == self._reading_paused:
            return
        self._reading_paused = pause
        if pause:
            transport.pause_reading()
        else:
            transport.resume_reading()
