"""Produces whose batches have to be put into another codec, or whose records may be long to look at: in a thread, one
after the other, and then as usual. Shell.

Whoever produces to a log of such a request meanwhile waits behind it, so that each log gets its batches in the order in
which they came. Tested in tests/core/broker/test_recompressing.py.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...errors import ProtocolError
from ...log.partition_log import PartitionLog
from ...ports import Clock
from ...wire.batches import CODEC_MASK
from ...wire.messages.k00_produce import ProduceRequest
from ..coordination.transaction_joins import follow
from .batch_checks import CODEC_AT, ExaminedBatch, as_buffer, checked_batch, is_long_to_check
from .recompression import CODECS, recompressed

LOG = logging.getLogger(__name__)

Batch = tuple[PartitionLog, ProduceRequest.PartitionProduceData]


class Recompressing:
    """The requests that wait for a thread. Belongs to the event loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: deque[tuple[Callable[[], None], Callable[[], None]]] = deque()
        self._logs: dict[PartitionLog, int] = {}
        self._running: asyncio.Future[None] | None = None

    def wanted(self, log: PartitionLog, records: Any, now_ms: int) -> bool:
        """Whether a batch for this log has to go this way."""
        if log in self._logs:
            return True
        config = log.config
        codec = CODECS.get(config.compression_type)
        batch = as_buffer(records)
        if codec is not None and len(batch) > CODEC_AT and batch[CODEC_AT] & CODEC_MASK != codec:
            return True
        return is_long_to_check(batch, config, now_ms)

    def run(
        self, batches: Sequence[Batch], api_version: int, now_ms: int, produce: Callable[[], Any]
    ) -> "asyncio.Future[Any]":
        """What `produce` gives, once the batches are in the codecs of their logs; a faulty one is left as it is."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def finish() -> None:
            for log, _ in batches:
                self._logs[log] -= 1
                if not self._logs[log]:
                    del self._logs[log]
            try:
                outcome = produce()
            except Exception as error:
                # As an error in a handler that needs no thread: the connection's own loop logs and answers it.
                if not done.done():
                    done.set_exception(error)
            else:
                follow(done, outcome)

        for log, _ in batches:
            self._logs[log] = self._logs.get(log, 0) + 1
        self._queue.append((partial(_recompress, batches, api_version, now_ms), finish))
        if self._running is None:
            self._next()
        return done

    def close(self) -> None:
        """Begins nothing more: there are no threads any longer."""
        self._queue.clear()

    def _next(self) -> None:
        work, finish = self._queue.popleft()
        self._running = asyncio.get_running_loop().run_in_executor(None, work)
        self._running.add_done_callback(partial(self._finished, finish))

    def _finished(self, finish: Callable[[], None], ran: "asyncio.Future[None]") -> None:
        self._running = None
        if ran.cancelled():
            return
        error = ran.exception()
        if error is not None:
            LOG.error("batches could not be recompressed", exc_info=error)
        finish()
        if self._queue and self._running is None:
            self._next()


def _recompress(batches: Sequence[Batch], api_version: int, now_ms: int) -> None:
    """On another thread: exchange the records of a request. What is wrong with a batch is told when it is appended."""
    for log, data in batches:
        records = as_buffer(data.records)
        try:
            header = checked_batch(records, log.config, api_version=api_version, now_ms=now_ms)
            records, header = recompressed(records, header, log.config)
            examined = ExaminedBatch(records)
            examined.header = header
        except ProtocolError as error:
            examined = ExaminedBatch(records)
            # Without what it was raised from: that would hold what was decompressed, in a circle.
            error.__cause__ = error.__context__ = None
            examined.refusal = error.with_traceback(None)
        data.records = examined
