"""Batches between send() and their acknowledgement: order, sequences, retries, expiry. Pure; shell: sender.py.

A batch is queued, then outstanding (in flight, to be retried, or rejected and waiting for a new epoch), then done. Per
partition batches go out in order, retries before new ones. After a failure that leaves a gap in the sequences no new
one is stamped until all outstanding ones have a certain outcome and the epoch is bumped: nothing that may stand in the
log is sent under another sequence. Source: KIP-98, KIP-360, KIP-480. Tests: tests/core/client/test_accumulator.py.
"""

import itertools
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ...errors import RETRIABLE_CODES, ErrorCode
from .stamping import next_sequence

TopicPartition = tuple[str, int]

# Codes with which a batch may stand in the log all the same.
UNCERTAIN_CODES = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND})
CONCURRENT_WAIT_MS = 20
"""The markers of the last transaction are on their way: they take that long, not longer."""
UNKNOWN_PRODUCER_CODES = frozenset({ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.INVALID_PRODUCER_EPOCH})


class State(Enum):
    """Where a batch is on its way."""

    QUEUED = "queued"
    IN_FLIGHT = "in flight"
    RETRY = "retry"
    REJECTED = "rejected"
    DONE = "done"


class Outcome(Enum):
    """What became of a batch that was answered or lost."""

    DELIVERED = "delivered"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Batch:
    """One encoded record batch. `token` is the shell's; an `uncertain` one may stand in the log unacknowledged."""

    partition: TopicPartition
    data: Any
    count: int
    deadline_ms: int
    token: Any = None
    state: State = State.QUEUED
    sequence: int = -1
    ordinal: int = -1
    tries: int = 0
    not_before_ms: int = 0
    uncertain: bool = False

    @property
    def size_bytes(self) -> int:
        return len(self.data)


@dataclass(slots=True)
class _Lane:
    """The batches of one partition."""

    queued: deque[Batch] = field(default_factory=deque)
    outstanding: deque[Batch] = field(default_factory=deque)
    next_sequence: int = 0
    next_ordinal: int = 0
    known: bool = False  # Whether the broker has taken a batch of this epoch.


@dataclass(frozen=True, slots=True)
class Drained:
    """Batches to send now, by node, at most one of a partition; whether some partition has no known leader."""

    by_node: dict[int, list[Batch]]
    leaderless: bool


class Accumulator:
    """All batches of one producer that are not done."""

    def __init__(
        self, *, idempotent: bool, transactional: bool, max_in_flight: int, backoff_ms: Callable[[int], int]
    ) -> None:
        self._idempotent = idempotent
        self._transactional = transactional
        self._max_outstanding = max_in_flight if idempotent else 1
        self._backoff_ms = backoff_ms
        self._lanes: dict[TopicPartition, _Lane] = {}
        self.bump_needed = False
        self.count = 0

    def append(self, batch: Batch) -> None:
        self._lanes.setdefault(batch.partition, _Lane()).queued.append(batch)
        self.count += 1

    def waiting_partitions(self) -> list[TopicPartition]:
        """Partitions with batches that have not been sent yet."""
        return [partition for partition, lane in self._lanes.items() if lane.queued]

    def drain(
        self,
        now_ms: int,
        *,
        leader_of: Callable[[str, int], int | None],
        full_nodes: Collection[int],
        may_send: Callable[[TopicPartition], bool],
        max_request_bytes: int,
    ) -> Drained:
        """Take what can be sent now: one request for each node that is not full."""
        by_node: dict[int, list[Batch]] = {}
        sizes: dict[int, int] = {}
        leaderless = False
        for partition in list(self._lanes):
            lane = self._lanes[partition]
            batch = self._next(lane, now_ms) if may_send(partition) else None
            if batch is None:
                continue
            node = leader_of(*partition)
            if node is None:
                leaderless = True
                continue
            size = sizes.get(node, 0)
            if node in full_nodes or (size and size + batch.size_bytes > max_request_bytes):
                continue
            sizes[node] = size + batch.size_bytes
            by_node.setdefault(node, []).append(self._take(lane, batch))
            self._lanes[partition] = self._lanes.pop(partition)  # To the end, for its turn to come round.
        return Drained(by_node, leaderless)

    def succeeded(self, batch: Batch) -> None:
        """The broker has the batch."""
        self._lanes[batch.partition].known = True
        self._remove(batch)

    def lost(self, batch: Batch, now_ms: int) -> Outcome:
        """No answer came: the batch may stand in the log or not."""
        batch.uncertain = True
        return self._retry(batch, now_ms)

    def refused(self, batch: Batch, code: ErrorCode, now_ms: int) -> Outcome:
        """The broker answered with an error."""
        if code == ErrorCode.DUPLICATE_SEQUENCE_NUMBER:
            self._remove(batch)
            return Outcome.DELIVERED
        if self._idempotent and code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            return self._out_of_order(batch, now_ms)
        if self._idempotent and not self._transactional and code in UNKNOWN_PRODUCER_CODES and not batch.uncertain:
            self.bump_needed = True
            batch.state = State.REJECTED
            return Outcome.KEPT
        if code in UNCERTAIN_CODES:
            batch.uncertain = True
        if code == ErrorCode.CONCURRENT_TRANSACTIONS:
            return self._retry(batch, now_ms, CONCURRENT_WAIT_MS)
        if code in RETRIABLE_CODES:
            return self._retry(batch, now_ms)
        self._fail(batch)
        return Outcome.FAILED

    def expire(self, now_ms: int) -> list[Batch]:
        """Take out the batches whose time is over; those in flight stay until they are answered."""
        expired: list[Batch] = []
        for lane in self._lanes.values():
            queued = itertools.takewhile(lambda batch: batch.deadline_ms <= now_ms, lane.queued)
            expired += (
                batch
                for batch in (*lane.outstanding, *queued)
                if batch.deadline_ms <= now_ms and batch.state is not State.IN_FLIGHT
            )
        for batch in expired:
            self._fail(batch)
        return expired

    def drop_all(self) -> list[Batch]:
        """Take out everything that is not in flight, for an aborted transaction or a closed producer."""
        dropped = [
            batch
            for lane in self._lanes.values()
            for batch in (*lane.outstanding, *lane.queued)
            if batch.state is not State.IN_FLIGHT
        ]
        for batch in dropped:
            self._fail(batch)
        return dropped

    def ready_to_bump(self) -> bool:
        """Whether a new epoch is needed and no outstanding batch has an open outcome."""
        if not self.bump_needed:
            return False
        return all(batch.state is State.REJECTED for lane in self._lanes.values() for batch in lane.outstanding)

    def bumped(self, *, by_transaction: bool = False) -> None:
        """The producer has a new epoch: sequences begin at 0, what was rejected goes to the head of its queue.

        by_transaction: the end of a transaction brought it. A broker takes no batch of the next one before the first.
        """
        assert self.count == 0 or self.ready_to_bump() or not self.bump_needed
        for lane in self._lanes.values():
            while lane.outstanding:
                batch = lane.outstanding.pop()
                batch.state, batch.sequence = State.QUEUED, -1
                lane.queued.appendleft(batch)
            lane.next_sequence, lane.known = 0, lane.known and by_transaction
        self.bump_needed = False

    def next_event_ms(self) -> int | None:
        """The earliest time at which a retry is due or a batch expires; None when nothing waits."""
        times = [
            batch.not_before_ms if batch.state is State.RETRY else batch.deadline_ms
            for lane in self._lanes.values()
            for batch in (*lane.outstanding, *list(lane.queued)[:1])
            if batch.state is not State.IN_FLIGHT
        ]
        return min(times, default=None)

    # -- below: how it is done

    def _next(self, lane: _Lane, now_ms: int) -> Batch | None:
        """The batch of a partition to send next: the oldest retry if any, then the oldest queued one."""
        for batch in lane.outstanding:
            if batch.state is State.RETRY:
                return batch if batch.not_before_ms <= now_ms else None
        # A broker takes any first batch of a producer that it does not know, whatever its sequence: let it know us.
        limit = self._max_outstanding if lane.known else 1
        # It remembers a producer's last five batches: a batch that may be repeated must stay among them.
        ahead = lane.next_ordinal - lane.outstanding[0].ordinal if lane.outstanding else 0
        if self.bump_needed or not lane.queued or ahead >= limit:
            return None
        return lane.queued[0]

    def _take(self, lane: _Lane, batch: Batch) -> Batch:
        if batch.state is State.QUEUED:
            lane.queued.popleft()
            batch.sequence = lane.next_sequence
            lane.next_sequence = next_sequence(lane.next_sequence, batch.count)
            batch.ordinal, lane.next_ordinal = lane.next_ordinal, lane.next_ordinal + 1
            lane.outstanding.append(batch)
        batch.state = State.IN_FLIGHT
        batch.tries += 1
        return batch

    def _retry(self, batch: Batch, now_ms: int, wait_ms: int | None = None) -> Outcome:
        if now_ms >= batch.deadline_ms:
            self._fail(batch)
            return Outcome.FAILED
        batch.state = State.RETRY
        batch.not_before_ms = now_ms + (self._backoff_ms(batch.tries) if wait_ms is None else wait_ms)
        return Outcome.KEPT

    def _out_of_order(self, batch: Batch, now_ms: int) -> Outcome:
        """The broker lacks what comes before this batch, and has surely not taken this one."""
        batch.uncertain = False
        if self.bump_needed:
            batch.state = State.REJECTED
            return Outcome.KEPT
        if self._lanes[batch.partition].outstanding[0] is not batch:
            return self._retry(batch, now_ms)
        self._fail(batch, gap=True)
        return Outcome.FAILED

    def _fail(self, batch: Batch, *, gap: bool = False) -> None:
        """Take out a batch that is given up; unless its sequence can be used again, a new epoch is needed."""
        lane = self._lanes[batch.partition]
        stamped = batch.state is not State.QUEUED
        self._remove(batch)
        if not stamped or not self._idempotent:
            return
        is_last = not lane.outstanding and lane.next_sequence == next_sequence(batch.sequence, batch.count)
        if is_last and not gap and not batch.uncertain and not self.bump_needed:
            lane.next_sequence = batch.sequence
            return
        self.bump_needed = True

    def _remove(self, batch: Batch) -> None:
        lane = self._lanes[batch.partition]
        (lane.queued if batch.state is State.QUEUED else lane.outstanding).remove(batch)
        batch.state = State.DONE
        self.count -= 1
