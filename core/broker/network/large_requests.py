"""Requests that would hold up everyone else if they were worked on in one step. Shell.

They are read and their answers written in a thread, and handled in pieces between which others are served; one at a
time, as each may become many times its own size. Meanwhile the garbage collector does not look at its objects, which
it would do in one step, over and over.
Tested in tests/core/broker/test_large_requests.py.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import WireError
from ...wire.frames import decode_header, decode_request, encode_response
from ...wire.message import Message
from ..context import RequestContext
from ..failures import NO_ANSWER, answered
from ..handlers import Handler, settle
from .pieces import WHOLE, Levels, Piece, cut_of, join, pieces, take_apart
from .produce_count import count_partitions

if TYPE_CHECKING:
    from ..broker import Broker
    from ..monitoring.metrics import Metrics

LOG = logging.getLogger(__name__)
PRODUCE, FETCH = 0, 1
WAIT_FOR_OTHERS = frozenset({FETCH, 11, 14})
"""Fetch, JoinGroup and SyncGroup may take as long as nobody produces or joins."""
LARGE_BYTES = 16 * 1024
LARGE_BYTES_OF = {PRODUCE: 1_100_000, FETCH: 256 * 1024}
"""Of a produce the most are records, which nobody reads; of 1 MiB are the largest of Java's. Fetches may name 10,000
partitions."""
LARGEST_BYTES = 16 * 1024 * 1024
"""Names and numbers take up to a hundred times the room that they take in a frame, and so do the answers to them."""

MANY_PARTITIONS, MOST_PARTITIONS = 1_000, 200_000
"""Of a Produce: what is handled at once, and what is handled at all. As many as a large cluster has; each takes half a
kilobyte."""


def is_large(api_key: int, frame: memoryview | bytes) -> bool:
    """Whether a request cannot be handled at once. Raises WireError for one that is not handled at all."""
    if len(frame) > LARGEST_BYTES and api_key != PRODUCE:
        raise WireError(
            f"a request with API key {api_key} of {len(frame)} bytes; at most {LARGEST_BYTES} are read where there are "
            f"no records in it: ask for fewer things at a time"
        )
    return len(frame) > LARGE_BYTES and (
        len(frame) > LARGE_BYTES_OF.get(api_key, LARGE_BYTES)
        or (api_key == PRODUCE and count_partitions(frame, MANY_PARTITIONS) > MANY_PARTITIONS)
    )


class LargeRequests:
    """Those of all connections of a server; one at a time of all servers of a broker."""

    def __init__(self, broker: "Broker", metrics: "Metrics | None") -> None:
        self._broker = broker
        self._metrics = metrics

    async def answer(
        self,
        frame: memoryview | bytes,
        served: Handler,
        context: RequestContext,
        correlation_id: int,
        is_wanted: Callable[[], bool],
    ) -> Any:
        """The buffers of the answer; else NO_ANSWER, None where the protocol has none, or what is wrong with `frame`.

        Gives the memory of `frame` back. is_wanted: asked when it is this request's turn.
        """
        memory, size = self._broker.request_memory, len(frame)
        try:
            async with self._alone():
                if not is_wanted():
                    return NO_ANSWER
                message, parts = await asyncio.to_thread(_decode, frame)
                if served.prepare is not None:
                    await served.prepare(self._broker, message)
                if context.api_key not in WAIT_FOR_OTHERS:
                    return await self._handled(served, message, parts, context, correlation_id)
            # Others could not send what it waits for, were all the memory held by such.
            memory.give(size)
            size = 0
            return await self._handled(served, message, parts, context, correlation_id)
        except WireError as error:
            return error
        finally:
            memory.give(size)

    async def _handled(
        self, served: Handler, message: Message, parts: "_Parts | None", context: RequestContext, correlation_id: int
    ) -> Any:
        metrics = self._metrics
        observed = metrics.begin(context, message) if metrics is not None else None
        work = self._whole(served, message, context) if parts is None else self._in_pieces(served, parts, context)
        outcome = await answered(work, context)
        if metrics is not None and observed is not None:
            metrics.end(observed, outcome)
            metrics.sent(observed, observed.handled_s, observed.handled_s)
        if outcome is None or outcome is NO_ANSWER:
            return outcome
        try:
            return await asyncio.to_thread(_encode, message, outcome, parts, context, correlation_id)
        except WireError:
            LOG.exception("the answer to API key %d cannot be written", context.api_key)
            return NO_ANSWER

    async def _whole(self, served: Handler, message: Message, context: RequestContext) -> Any:
        if served.start is not None:
            return await settle(served.start, self._broker, message, context)
        assert served.handle is not None
        return await served.handle(self._broker, message, context)

    async def _in_pieces(self, served: Handler, parts: "_Parts", context: RequestContext) -> Any:
        whole: Any = None
        for piece, depth in parts.pieces:
            outcome = await self._whole(served, piece, context)
            if whole is None or outcome is NO_ANSWER:
                whole = outcome
            elif outcome is not None and whole is not NO_ANSWER:
                join(whole, outcome, parts.levels, depth)
            await asyncio.sleep(0)
        return whole

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._broker.large_request:
            collecting = gc.isenabled()
            gc.disable()
            try:
                yield
            finally:
                if collecting:
                    gc.enable()


class _Parts(NamedTuple):
    """What a request was cut into."""

    levels: Levels
    pieces: list[Piece]


def _decode(frame: memoryview | bytes) -> tuple[Message, _Parts | None]:
    if decode_header(frame)[0].api_key == PRODUCE and count_partitions(frame, MOST_PARTITIONS) > MOST_PARTITIONS:
        raise WireError(f"a Produce to more than {MOST_PARTITIONS} partitions: send to fewer at a time")
    header, message = decode_request(frame)
    cut = cut_of(header.api_key, message)
    return message, None if cut is None else _Parts(cut.levels, list(pieces(message, cut)))


def _encode(
    message: Message, response: Message, parts: _Parts | None, context: RequestContext, correlation_id: int
) -> list[Any]:
    buffers = encode_response(response, context.api_key, context.api_version, correlation_id)
    if parts is not None:
        for piece, _ in parts.pieces:
            take_apart(piece, [asked for asked, _ in parts.levels])
    for levels in WHOLE.get(context.api_key, ()) if parts is None else (parts.levels,):
        take_apart(message, [asked for asked, _ in levels])
        take_apart(response, [told for _, told in levels])
    return buffers
