"""What a log knows of its idempotent and transactional producers, and which appends follow from it. Pure.

Shell: partition_log.py. check() decides and changes nothing; apply_data() and apply_marker() are the only writers, for
new batches and for those read back after a restart alike, so that a log always gives the same state again.
Source: ProducerAppendInfo, ProducerStateEntry and ProducerStateManager of Kafka 4.3.1.
Tested in tests/core/log/test_producer_state.py.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from ...errors import ErrorCode, ProtocolError
from .transaction_index import AbortedTransaction

NO_EPOCH = -1
NO_SEQUENCE = -1
NO_OFFSET = -1
SEQUENCE_MAX = 2**31 - 1
CACHED_BATCHES = 5


class BatchStamp(NamedTuple):
    """One of a producer's last batches, as far as a repetition of it must be known again."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp_ms: int

    @property
    def first_sequence(self) -> int:
        return sequence_before(self.last_sequence, self.offset_delta)

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta


class Producer(NamedTuple):
    """State of one producer id. transaction_start: first offset of its open transaction, NO_OFFSET without one."""

    producer_id: int
    epoch: int
    batches: tuple[BatchStamp, ...]
    last_timestamp_ms: int
    coordinator_epoch: int
    transaction_start: int

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE


class ProducerBatch(Protocol):
    """What is asked of a batch's header."""

    @property
    def producer_id(self) -> int: ...
    @property
    def producer_epoch(self) -> int: ...
    @property
    def base_sequence(self) -> int: ...
    @property
    def last_offset_delta(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...
    @property
    def is_transactional(self) -> bool: ...


class CompletedTransaction(NamedTuple):
    """A transaction that a marker ended. Read-committed readers pass it once the marker is on disk."""

    producer_id: int
    first_offset: int
    marker_offset: int
    aborted: bool


class ProducerStates:
    """The producers of one log, their open transactions, and those ended whose marker may not be on disk yet."""

    def __init__(self, producers: Iterable[Producer] = ()) -> None:
        self._producers: dict[int, Producer] = {}
        self._open: dict[int, int] = {}
        self._completed: list[CompletedTransaction] = []
        for producer in producers:
            self._producers[producer.producer_id] = producer
        with_open = [producer for producer in self._producers.values() if producer.transaction_start != NO_OFFSET]
        for producer in sorted(with_open, key=lambda producer: producer.transaction_start):
            self._open[producer.producer_id] = producer.transaction_start

    def __len__(self) -> int:
        return len(self._producers)

    def get(self, producer_id: int) -> Producer | None:
        return self._producers.get(producer_id)

    def all(self) -> list[Producer]:
        return list(self._producers.values())

    def open_transactions(self) -> dict[int, int]:
        """First offset of each open transaction, in the order in which they began."""
        return dict(self._open)

    def first_unstable_offset(self, high_watermark: int) -> int | None:
        """The first offset whose transaction is open, or ended by a marker that is not below the high watermark."""
        if not self._open and not self._completed:
            return None
        open_start = next(iter(self._open.values()), None)
        pending = [done.first_offset for done in self._completed if done.marker_offset >= high_watermark]
        if open_start is not None:
            pending.append(open_start)
        return min(pending, default=None)

    def check(self, batch: ProducerBatch) -> BatchStamp | None:
        """Whether a client's batch may be appended: None, or the stamp of the batch that it repeats.

        Raises ProtocolError INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_TXN_STATE.
        """
        producer = self._producers.get(batch.producer_id)
        if producer is None:
            return None
        if batch.producer_epoch == producer.epoch:
            last_sequence = sequence_after(batch.base_sequence, batch.last_offset_delta)
            for stamp in producer.batches:
                if stamp.last_sequence == last_sequence and stamp.first_sequence == batch.base_sequence:
                    return stamp
        self.check_epoch(batch)
        _check_sequence(producer, batch)
        return None

    def check_epoch(self, batch: ProducerBatch) -> None:
        """The part of check() that holds for the coordinators' own appends, which have no sequence numbers."""
        producer = self._producers.get(batch.producer_id)
        if producer is None:
            return
        if batch.producer_epoch < producer.epoch:
            raise ProtocolError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {batch.producer_id} has epoch {batch.producer_epoch}; epoch {producer.epoch} was seen",
            )
        if producer.transaction_start != NO_OFFSET and not batch.is_transactional:
            raise ProtocolError(
                ErrorCode.INVALID_TXN_STATE,
                f"producer {batch.producer_id} writes outside of its transaction, open since offset "
                f"{producer.transaction_start}",
            )

    def apply_data(self, batch: ProducerBatch, first_offset: int) -> None:
        """Note an appended batch that has a producer id."""
        producer_id = batch.producer_id
        delta = batch.last_offset_delta
        stamp = BatchStamp(
            NO_SEQUENCE if batch.base_sequence < 0 else sequence_after(batch.base_sequence, delta),
            first_offset + delta,
            delta,
            batch.max_timestamp,
        )
        before = self._producers.get(producer_id)
        start, coordinator_epoch = NO_OFFSET, NO_EPOCH
        batches: tuple[BatchStamp, ...] = (stamp,)
        if before is not None:
            start, coordinator_epoch = before.transaction_start, before.coordinator_epoch
            if before.epoch == batch.producer_epoch:
                batches = (*before.batches[1 - CACHED_BATCHES :], stamp)
        if start == NO_OFFSET and batch.is_transactional:
            start = self._open[producer_id] = first_offset
        self._producers[producer_id] = Producer(
            producer_id, batch.producer_epoch, batches, batch.max_timestamp, coordinator_epoch, start
        )

    def check_marker(self, producer_id: int, producer_epoch: int, coordinator_epoch: int) -> None:
        """Whether a coordinator may end the producer's transaction here.

        Raises ProtocolError INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED.
        """
        producer = self._producers.get(producer_id)
        if producer is None:
            return
        if producer_epoch < producer.epoch:
            raise ProtocolError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"marker of producer {producer_id} has epoch {producer_epoch}; epoch {producer.epoch} was seen",
            )
        if coordinator_epoch < producer.coordinator_epoch:
            raise ProtocolError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"marker of producer {producer_id} has coordinator epoch {coordinator_epoch}; "
                f"epoch {producer.coordinator_epoch} was seen",
            )

    def apply_marker(
        self,
        producer_id: int,
        producer_epoch: int,
        coordinator_epoch: int,
        *,
        commit: bool,
        offset: int,
        timestamp_ms: int,
        high_watermark: int,
    ) -> AbortedTransaction | None:
        """Note an appended marker; returns the entry for the transaction index when it aborted something."""
        before = self._producers.get(producer_id)
        batches = before.batches if before is not None and before.epoch == producer_epoch else ()
        self._producers[producer_id] = Producer(
            producer_id, producer_epoch, batches, timestamp_ms, coordinator_epoch, NO_OFFSET
        )
        start = self._open.pop(producer_id, NO_OFFSET)
        if start == NO_OFFSET:
            return None
        self._completed = [done for done in self._completed if done.marker_offset >= high_watermark]
        self._completed.append(CompletedTransaction(producer_id, start, offset, not commit))
        if commit:
            return None
        stable = next(iter(self._open.values()), offset + 1)
        return AbortedTransaction(producer_id, start, offset, stable)

    def with_batch(self, batch: ProducerBatch) -> "ProducerStates":
        """A copy in which `batch` was appended, to check the next one of the same append."""
        copy = ProducerStates(self._producers.values())
        copy.apply_data(batch, 0)
        return copy

    def expire(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers that have no open transaction and have not written for the given span."""
        expired = [
            producer.producer_id
            for producer in self._producers.values()
            if producer.transaction_start == NO_OFFSET and now_ms - producer.last_timestamp_ms >= expiration_ms
        ]
        for producer_id in expired:
            del self._producers[producer_id]


def sequence_after(sequence: int, count: int) -> int:
    """The sequence number `count` further on; after 2**31 - 1 comes 0."""
    return (sequence + count) % (SEQUENCE_MAX + 1)


def sequence_before(sequence: int, count: int) -> int:
    return (sequence - count) % (SEQUENCE_MAX + 1)


def _check_sequence(producer: Producer, batch: ProducerBatch) -> None:
    first = batch.base_sequence
    if batch.producer_epoch != producer.epoch:
        if first != 0 and producer.epoch != NO_EPOCH:
            raise ProtocolError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {batch.producer_id} begins epoch {batch.producer_epoch} with sequence {first}; must be 0",
            )
        return
    expected = sequence_after(producer.last_sequence, 1) if producer.batches else 0
    if first != expected:
        raise ProtocolError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {batch.producer_id} sends sequence {first}; {expected} comes next",
        )
