"""Writes columns, or rows gathered into columns, to topics; idempotent by default, in transactions if named. Shell.

send() splits a batch by partition, encodes it (in a thread when large) and returns a future once there was room for it.
Source: KafkaProducer's contract; KIP-98. Tests: tests/core/client/test_producer.py, test_transactions.py.
"""

import asyncio
import logging
import random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ...errors import MillstreamError, Retriable
from ...tasks import TaskScope
from ..config import ProducerConfig
from ..consuming.offsets import GroupMetadata, Offsets
from ..link import ClusterLink
from ..signal import Signal
from .accumulator import Batch
from .delivery import DeliveredRange, Delivery, RowDelivery, Token, Tracker, row_deliveries
from .rows import Headers, RowBuffer, RowBuffers
from .sender import Sender
from .stamping import writable
from .transaction_state import Phase
from .transactions import Transactions

if TYPE_CHECKING:
    import pyarrow as pa

    from .partitioning import Part

# Smaller batches are encoded on the event loop: 0.2 ms there, and 0.12 ms for handing them to a thread.
THREAD_FROM_BYTES = 128 * 1024
COMPRESSED_THREAD_FROM_BYTES = 32 * 1024
BATCH_HEADROOM_BYTES = 48 * 1024
LAST_ABORT_MS = 2_000
ABORTED = "the transaction was aborted"

log = logging.getLogger(__name__)


class Producer:
    """`async with client.producer(config) as producer:`; leaving it flushes, and aborts a transaction left open."""

    def __init__(self, client: ClusterLink, config: ProducerConfig) -> None:
        self._client = client
        self._config = config
        self._scope = TaskScope()
        self._transactions = Transactions(client, config) if config.transactional_id is not None else None
        self._sender = Sender(client, config, self._scope, self._transactions, self._on_done)
        self._rows = RowBuffers(batch_bytes=config.batch_size, linger_ms=config.linger_ms)
        self._rows_changed = Signal()
        self._rows_lock = asyncio.Lock()
        self._trackers: dict[Tracker, None] = {}
        self._first_failure: BaseException | None = None
        self._aborts = 0
        """What was begun before the last of them belongs to no transaction any more."""
        self._reserved_bytes = 0
        self._keyless: dict[str, tuple[int, int]] = {}

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._scope.start(self._sender.run(), name="producer-sender")
        self._scope.start(self._linger(), name="producer-linger")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._transactions is None:
                await self.flush()
            await self._abort_what_is_open()
        except BaseException as failure:
            kind, error, trace = type(failure), failure, failure.__traceback__
            raise
        finally:
            try:
                await self._scope.__aexit__(kind, error, trace)
            finally:  # A task that failed says so; nobody waits any longer all the same.
                self._drop_rows()
                for tracker in list(self._trackers):
                    tracker.failed(Retriable("the producer was closed before these records were acknowledged"))
                await self._sender.close()
                if self._transactions is not None:
                    await self._transactions.close()

    # -- writing

    async def send(self, topic: str, columns: "pa.RecordBatch", partition: Any = None) -> "asyncio.Future[Delivery]":
        """Hand over rows; the future resolves once the broker has them. Waits while buffer.memory is used up.

        columns: `key` and `value` (binary or string), optionally `timestamp` (ms) and `headers`.
        partition: one for all rows, or an array of one for each row; without it rows go by their keys.
        Raises ProtocolError for an unknown topic, PlanError for wrong columns, Retriable when there is no room in time.
        """
        self._require_open("send()")
        aborts = self._aborts
        tracker = self._track(topic, aborts)
        await self._enqueue(tracker, columns, partition, aborts)
        return tracker.future

    async def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> "asyncio.Future[RowDelivery]":
        """Hand over one row; rows are gathered up to batch.size or for linger.ms."""
        self._require_open("produce()")
        future: asyncio.Future[RowDelivery] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        buffer = self._rows.buffer(topic, partition, self._client.clock.monotonic_ms())
        buffer.add(key, value, timestamp_ms, headers, future)
        if self._rows.take_full(buffer):
            aborts = self._aborts
            async with self._rows_lock:
                await self._send_rows(buffer, aborts)
        elif len(buffer.tokens) == 1:
            self._rows_changed.give()
        return future

    async def flush(self) -> None:
        """Until all that was handed over is acknowledged. Raises the first failure since the last flush."""
        await self._flush_rows(None)
        pending = [tracker.future for tracker in self._trackers]
        if pending:
            await asyncio.wait(pending)
        failure, self._first_failure = self._first_failure, None
        if failure is not None:
            raise failure

    # -- transactions

    async def init_transactions(self) -> None:
        """Take over the transactional id; call once, before the first begin(). Fences older producers with it."""
        await self._require_transactions().initialise()

    def begin(self) -> None:
        """Open a transaction."""
        self._require_transactions().state.begin()
        self._first_failure = None

    async def send_offsets(self, offsets: Offsets, group: GroupMetadata) -> None:
        """Commit the offsets of a consumer group with the open transaction."""
        transactions = self._require_transactions()
        transactions.state.require_open("send_offsets()")
        await transactions.send_offsets(offsets, group)

    async def commit(self) -> None:
        """Make everything sent since begin() visible at once. Raises what failed in it; then call abort().

        Raises Fenced when a newer producer has the transactional id. After Retriable the outcome is open: call again.
        """
        transactions = self._require_transactions()
        transactions.state.committing()
        await self._await_trackers()
        if transactions.state.phase is not Phase.COMMITTING:
            assert transactions.state.error is not None
            raise transactions.state.error
        if await transactions.end(commit=True):
            self._sender.accumulator.bumped(by_transaction=True)
        transactions.state.ended()

    async def abort(self) -> None:
        """Undo everything sent since begin()."""
        transactions = self._require_transactions()
        transactions.state.aborting()
        self._aborts += 1
        self._drop_rows()
        dropped = Retriable(ABORTED)
        self._sender.drop_all(dropped)
        while self._sender.busy:
            await self._sender.progress.wait()
            self._sender.drop_all(dropped)
        self._first_failure = None
        if await transactions.end(commit=False):
            self._sender.accumulator.bumped(by_transaction=True)
        elif self._sender.accumulator.bump_needed:
            await transactions.bump()
            self._sender.accumulator.bumped()
        transactions.state.ended()

    async def is_taken_over(self) -> bool:
        """Of a producer that was fenced, also when it is closed already: whether another has its transactional id now.

        Asks for the next epoch to find out. False where the coordinator alone ended a transaction that took too long.
        """
        return await self._require_transactions().is_taken_over()

    # -- below: how it is done

    def _require_transactions(self) -> Transactions:
        if self._transactions is None:
            raise RuntimeError("this producer has no transactional.id")
        return self._transactions

    def _require_open(self, call: str) -> None:
        if self._transactions is not None:
            self._transactions.state.require_open(call)

    def _track(self, topic: str, aborts: int) -> Tracker:
        tracker = Tracker(topic)
        self._trackers[tracker] = None
        tracker.future.add_done_callback(lambda future: self._tracked(tracker, aborts, future))
        return tracker

    def _tracked(self, tracker: Tracker, aborts: int, future: "asyncio.Future[Delivery]") -> None:
        self._trackers.pop(tracker, None)
        if not future.cancelled() and self._first_failure is None and aborts == self._aborts:
            self._first_failure = future.exception()

    async def _enqueue(self, tracker: Tracker, columns: Any, partition: Any, aborts: int) -> "list[Part]":
        """Split, encode and queue; the reservation of memory goes over to the batches.

        aborts: how many there had been when the rows were handed over.
        """
        reserved = 0
        try:
            await self._client.records_ready()
            parts = await self._split(tracker.topic, columns, partition) if columns.num_rows else []
            reserved = await self._reserve(columns.nbytes)
            encoded = await self._encode(parts, columns.nbytes)
            if aborts != self._aborts:
                raise Retriable(ABORTED)
        except BaseException as error:
            self._release(reserved)
            tracker.future.cancel()
            if isinstance(error, MillstreamError) and self._transactions is not None and aborts == self._aborts:
                self._transactions.batch_failed(error, fatal=False)
            raise
        deadline_ms = self._client.clock.monotonic_ms() + self._config.delivery_timeout_ms
        number = 0
        for part, batches in zip(parts, encoded, strict=True):
            for batch in batches:
                data = writable(batch.data)
                token = Token(tracker, number, len(data))
                self._reserved_bytes += len(data)
                self._sender.append(Batch((tracker.topic, part.partition), data, batch.count, deadline_ms, token))
                number += 1
        self._release(reserved)
        tracker.expect(number)
        return parts

    async def _split(self, topic: str, columns: Any, partition: Any) -> "list[Part]":
        from .partitioning import split

        count = self._client.cluster.partition_count(topic)
        if not count:
            cluster = await self._client.topics([topic], auto_create=True, timeout_ms=self._config.max_block_ms)
            count = cluster.partition_count(topic)
        assert count
        return split(
            columns, partition, partition_count=count, keyless_partition=self._keyless_for(topic, columns, count)
        )

    def _keyless_for(self, topic: str, columns: Any, partition_count: int) -> int:
        """Rows without a key stay with one partition until batch.size bytes have gone there."""
        current, used = self._keyless.get(topic, (random.randrange(partition_count), 0))
        if used >= self._config.batch_size or current >= partition_count:
            current, used = (current + 1) % partition_count, 0
        self._keyless[topic] = (current, used + columns.nbytes)
        return current

    async def _encode(self, parts: "list[Part]", size_bytes: int) -> list[list[Any]]:
        from .partitioning import EncodeOptions, encode_parts

        options = EncodeOptions(
            codec=self._config.compression_type,
            level=self._config.compression_level,
            max_batch_bytes=max(1, self._config.max_request_size - BATCH_HEADROOM_BYTES),
            now_ms=self._client.clock.now_ms(),
        )
        limit_bytes = THREAD_FROM_BYTES if options.codec == "none" else COMPRESSED_THREAD_FROM_BYTES
        if size_bytes < limit_bytes:
            return encode_parts(parts, options)
        return await self._client.run_in_thread(encode_parts, parts, options)

    async def _reserve(self, size_bytes: int) -> int:
        """Wait for room; a batch larger than the whole buffer goes alone."""
        deadline_ms = self._client.clock.monotonic_ms() + self._config.max_block_ms
        while self._reserved_bytes and self._reserved_bytes + size_bytes > self._config.buffer_memory:
            left_ms = deadline_ms - self._client.clock.monotonic_ms()
            if left_ms <= 0:
                raise Retriable(
                    f"no room for {size_bytes} bytes within max.block.ms={self._config.max_block_ms}: "
                    f"{self._reserved_bytes} of buffer.memory={self._config.buffer_memory} are not acknowledged"
                )
            await self._sender.progress.wait(left_ms)
        self._reserved_bytes += size_bytes
        return size_bytes

    def _release(self, size_bytes: int) -> None:
        self._reserved_bytes -= size_bytes

    def _on_done(self, batch: Batch, offset: int, timestamp_ms: int, error: MillstreamError | None) -> None:
        token: Token = batch.token
        self._release(token.reserved_bytes)
        if error is not None:
            token.tracker.failed(error)
        else:
            token.tracker.delivered(token.number, DeliveredRange(batch.partition[1], offset, batch.count, timestamp_ms))

    # -- rows

    async def _linger(self) -> None:
        """Send rows whose linger time is over."""
        while True:
            due_ms = self._rows.next_due_ms()
            now_ms = self._client.clock.monotonic_ms()
            if due_ms is None or due_ms > now_ms:
                await self._rows_changed.wait(None if due_ms is None else due_ms - now_ms)
                continue
            await self._flush_rows(now_ms)

    async def _flush_rows(self, now_ms: int | None) -> None:
        async with self._rows_lock:
            aborts = self._aborts
            for buffer in self._rows.take_due(now_ms):
                await self._send_rows(buffer, aborts)

    async def _send_rows(self, buffer: RowBuffer, aborts: int) -> None:
        """Send gathered rows; a failure goes to their futures, and to the next flush."""
        tracker = self._track(buffer.topic, aborts)
        try:
            parts = await self._enqueue(tracker, buffer.columns(), buffer.partition, aborts)
        except BaseException as error:
            for future in buffer.tokens:
                if not future.done():
                    future.set_exception(error) if isinstance(error, MillstreamError) else future.cancel()
            if not isinstance(error, MillstreamError):
                raise
            if aborts == self._aborts:
                self._first_failure = self._first_failure or error
            return
        everything = list(range(len(buffer.tokens)))
        rows = {part.partition: everything if part.rows is None else part.rows.tolist() for part in parts}
        tracker.future.add_done_callback(lambda future: _settle_rows(future, buffer, rows))

    def _drop_rows(self) -> None:
        for buffer in self._rows.take_due(None):
            for future in buffer.tokens:
                future.cancel()

    # -- ending

    async def _await_trackers(self) -> None:
        """As flush(), but failures are found in the transaction's state."""
        await self._flush_rows(None)
        pending = [tracker.future for tracker in self._trackers]
        if pending:
            await asyncio.wait(pending)
        self._first_failure = None

    async def _abort_what_is_open(self) -> None:
        if self._transactions is None or self._transactions.state.phase not in (Phase.OPEN, Phase.FAILED):
            return
        try:
            async with asyncio.timeout(LAST_ABORT_MS / 1000):
                await self.abort()
        except (MillstreamError, TimeoutError) as error:
            log.warning("the open transaction of %r is left to time out: %s", self._config.transactional_id, error)


def _settle_rows(future: "asyncio.Future[Delivery]", buffer: RowBuffer, rows: dict[int, list[int]]) -> None:
    """Pass a send's result on to the futures of its rows."""
    error = None if future.cancelled() else future.exception()
    found = {} if error is not None or future.cancelled() else row_deliveries(future.result(), rows)
    for row, waiting in enumerate(buffer.tokens):
        if waiting.done():
            continue
        if row in found:
            waiting.set_result(found[row])
        elif error is not None:
            waiting.set_exception(error)
        else:
            waiting.cancel()
