"""Time, chance, disks and a broker with one transaction coordinator, for schedules of transactional producers.

The broker acts as broker/transactions.py does: it applies a record when it is appended, and lets nothing follow from it
before it is synced. A crash takes any part of what was not synced, from each log on its own.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from millstream.core.coordinators.transaction_codec import decode_record, encode_record
from millstream.core.coordinators.transaction_commands import (
    AddPartitions,
    EndTransaction,
    InitProducerId,
    MarkersWritten,
    Outcome,
    TransactionCommand,
    TransactionConfig,
    TransactionReply,
)
from millstream.core.coordinators.transaction_records import SECOND_PROTOCOL
from millstream.core.coordinators.transactions import TransactionCoordinator
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.log.producers.producer_state import ProducerStates

TOPIC = "logs"
PARTITIONS = 3
TIMEOUT_MS = 4_000
SWEEP_MS = 500
Answer = Callable[[Any], None]


@dataclass(frozen=True)
class Entry:
    """A record of a producer, or the marker that ends its transaction: `commit` is None for a record."""

    producer_id: int
    producer_epoch: int
    base_sequence: int
    value: Any = None
    commit: bool | None = None
    last_offset_delta: int = 0
    max_timestamp: int = 0
    is_transactional: bool = True


@dataclass
class SimLog:
    """A file: a crash keeps what was synced and any part of the rest."""

    entries: list[Any] = field(default_factory=list)
    synced: int = 0
    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list)


class Partition(SimLog):
    """The log of one partition with its producers' state."""

    def __init__(self) -> None:
        super().__init__()
        self.producers = ProducerStates()

    def append(self, entry: Entry) -> int:
        """The offset, also of an earlier append that this one repeats. Raises ProtocolError."""
        stamp = self.producers.check(entry)
        if stamp is not None:
            return stamp.last_offset
        return self._take(entry)

    def append_marker(self, entry: Entry) -> int:
        self.producers.check_marker(entry.producer_id, entry.producer_epoch, 0)
        return self._take(entry)

    def _take(self, entry: Entry) -> int:
        offset = len(self.entries)
        self.entries.append(entry)
        if entry.commit is None:
            self.producers.apply_data(entry, offset)
        else:
            self.producers.apply_marker(
                entry.producer_id, entry.producer_epoch, 0,
                commit=entry.commit, offset=offset, timestamp_ms=0, high_watermark=self.synced,
            )  # fmt: skip
        return offset

    def reopen(self) -> None:
        entries, self.entries, self.producers = self.entries, [], ProducerStates()
        for entry in entries:
            self._take(entry)

    def visible(self) -> list[Any]:
        """What a read-committed consumer gets of the synced part."""
        pending: dict[int, list[Any]] = {}
        seen: list[Any] = []
        for entry in self.entries[: self.synced]:
            if entry.commit is None:
                pending.setdefault(entry.producer_id, []).append(entry.value)
            else:
                values = pending.pop(entry.producer_id, [])
                seen += values if entry.commit else []
        return seen


class World:
    """One heap of (time, sequence, event) and one source of chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_ms = 1_000_000
        self.loss = self.random.choice([0.0, 0.05, 0.2])
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.broker = Broker(self)

    def after(self, delay_ms: int, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now_ms + delay_ms, self._count, event))

    def run_until(self, end_ms: int) -> None:
        while self._heap and self._heap[0][0] <= end_ms:
            self.now_ms, _, event = heapq.heappop(self._heap)
            event()
        self.now_ms = end_ms


class Broker:
    """Answers are given through callbacks, never when the broker crashes before they are due."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.up = True
        self.life = 0
        self.log = SimLog()
        self.partitions = [Partition() for _ in range(PARTITIONS)]
        self.owner: dict[str, int] = {}
        self._next_producer_id = 1
        self._open()

    def _open(self) -> None:
        self.coordinator = TransactionCoordinator(TransactionConfig(60_000, 10**9))
        for key, value in self.log.entries:
            record = decode_record(key, value)
            assert record is not None
            self.coordinator.apply(record)
        self._ended: dict[str, list[Callable[[], None]]] = {}
        self._joining: Counter[str] = Counter()
        for outcome in list(self.coordinator.prepared()):
            self._when_synced(self.log, partial(self._write, outcome))
        self._world.after(SWEEP_MS, partial(self._sweep, self.life))

    def crash(self, down_ms: int) -> None:
        if not self.up:
            return
        self.up = False
        self.life += 1
        for log in (self.log, *self.partitions):
            del log.entries[self._world.random.randint(log.synced, len(log.entries)) :]
            log.synced = len(log.entries)
            log.waiting.clear()
        self._world.after(down_ms, self._restart)

    def _restart(self) -> None:
        for partition in self.partitions:
            partition.reopen()
        self.up = True
        self._open()

    # Requests; `instance` numbers the starts of producers under one transactional id. The last one that began owns it.

    def ask(self, instance: int, command: TransactionCommand, answer: Answer) -> None:
        if not self.up:
            return
        decision = self.coordinator.decide(command, self._world.now_ms)
        if decision.needs_producer_id:
            self._next_producer_id += 1
            decision = self.coordinator.decide(command, self._world.now_ms, new_producer_id=self._next_producer_id)
        self._carry_out(decision.record)
        if decision.outcome is not None:
            if decision.outcome.commit or isinstance(command, EndTransaction):
                self._only_the_owner(command.transactional_id, instance, "commits")
            self._ended.setdefault(command.transactional_id, []).append(lambda: answer(decision.reply))
            self._when_synced(self.log, partial(self._write, decision.outcome))
        else:
            self._when_synced(self.log, partial(self._answer, instance, command, decision.reply, answer))

    def _answer(self, instance: int, command: TransactionCommand, reply: TransactionReply, answer: Answer) -> None:
        if isinstance(command, InitProducerId) and reply.code is ErrorCode.NONE:
            if command.expected is not None:
                self._only_the_owner(command.transactional_id, instance, "goes on")
            self.owner[command.transactional_id] = instance
        if reply.producer_epoch >= 0 and isinstance(command, EndTransaction):
            self._only_the_owner(command.transactional_id, instance, "gets an epoch")
        answer(reply)

    def produce(self, transactional_id: str, instance: int, partition: int, entry: Entry, answer: Answer) -> None:
        if not self.up:
            return
        log = self.partitions[partition]
        code = self.coordinator.write_fault(
            transactional_id, entry.producer_id, entry.producer_epoch, (TOPIC, partition)
        )
        if code is ErrorCode.NONE:
            try:
                log.append(entry)
            except ProtocolError as error:
                code = error.code
            else:
                self._only_the_owner(transactional_id, instance, "writes")
        self._when_synced(log, lambda: answer(code))

    def join_and_produce(
        self, transactional_id: str, instance: int, partition: int, entry: Entry, answer: Answer
    ) -> None:
        """As Produce from version 12 on: nothing is appended before it is on disk that the partition has joined."""
        if not self.up:
            return
        producer = entry.producer_id, entry.producer_epoch
        where = TOPIC, partition
        fault = self.coordinator.write_fault(transactional_id, *producer, where)
        if fault is ErrorCode.NONE and not self._joining[transactional_id]:
            self.produce(transactional_id, instance, partition, entry, answer)
            return
        command = AddPartitions(transactional_id, *producer, frozenset({where}), SECOND_PROTOCOL)
        decision = self.coordinator.decide(command, self._world.now_ms)
        self._carry_out(decision.record)
        self._joining[transactional_id] += 1

        def joined() -> None:
            self._joining[transactional_id] -= 1
            if decision.reply.code:
                answer(decision.reply.code)
            else:
                self.produce(transactional_id, instance, partition, entry, answer)

        self._when_synced(self.log, joined)

    def _only_the_owner(self, transactional_id: str, instance: int, what: str) -> None:
        owner = self.owner.get(transactional_id, instance)
        assert instance == owner, f"zombie {instance} of {transactional_id} {what} after {owner} has begun"

    # What follows.

    def _carry_out(self, record: Any) -> None:
        if record is not None:
            self.log.entries.append(encode_record(record))
            self.coordinator.apply(record)

    def _write(self, outcome: Outcome) -> None:
        left = len(outcome.partitions)

        def synced() -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                done = MarkersWritten(outcome.transactional_id, outcome.producer_id, outcome.producer_epoch)
                self._carry_out(self.coordinator.decide(done, self._world.now_ms).record)
                for ended in self._ended.pop(outcome.transactional_id, []):
                    ended()

        for _, number in outcome.partitions:
            partition = self.partitions[number]
            entry = Entry(outcome.producer_id, outcome.producer_epoch, -1, commit=outcome.commit)
            partition.append_marker(entry)
            self._when_synced(partition, synced)
        if not outcome.partitions:
            synced()

    def _when_synced(self, log: SimLog, then: Callable[[], None]) -> None:
        log.waiting.append((len(log.entries), then))
        self._world.after(self._world.random.randint(0, 20), partial(self._sync, self.life, log))

    def _sync(self, life: int, log: SimLog) -> None:
        if life != self.life:
            return
        log.synced = len(log.entries)
        due = [then for end, then in log.waiting if end <= log.synced]
        log.waiting = [one for one in log.waiting if one[0] > log.synced]
        for then in due:
            then()

    def _sweep(self, life: int) -> None:
        if life != self.life:
            return
        for command in self.coordinator.timed_out(self._world.now_ms):
            self.ask(0, command, lambda _: None)
        self._world.after(SWEEP_MS, partial(self._sweep, life))
