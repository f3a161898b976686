"""The world of the group simulation: one clock, one random source, a network that loses, a broker that crashes.

The broker answers when what it tells is on disk; a crash loses an end of the log that was not. Transactions are ended
by a coordinator that never forgets, as their log is not what is tested here.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sim.group_assignors import COOPERATIVE, claimed
from sim.group_driver import Appended, Settings

from millstream.core.coordinators.deadlines import Deadlines
from millstream.core.coordinators.group_codec import decode_record, encode_record
from millstream.core.coordinators.group_commands import (
    Command,
    CommitOffsets,
    JoinGroup,
    JoinReply,
    PartsReply,
    SyncGroup,
    SyncReply,
    TimerFired,
    TimerKey,
)
from millstream.core.coordinators.group_records import OffsetStored
from millstream.core.coordinators.groups import GroupCoordinator
from millstream.core.errors import ErrorCode

GROUP = "g"
TOPIC = "logs"
PARTITIONS = 6
TRANSACTION_TIMEOUT_MS = 8_000
REPLAYED = 0.01
"""Of the records appended, after how many the log is replayed and compared with what the coordinator knows."""
CRASHES_PER_LOSS = 0.2
"""How likely the broker crashes right after a record, as a share of how likely a message is lost."""
Answer = Callable[[Any], None]


@dataclass
class Transaction:
    """state: open, commit or abort. ranges: what it processed, by partition, from and to."""

    ranges: dict[int, tuple[int, int]]
    state: str = "open"
    marked: bool = False


@dataclass
class World:
    seed: int
    loss: float = 0.03
    now_ms: int = 1_000_000
    settings: Settings = field(default_factory=lambda: Settings(group_initial_rebalance_delay_ms=500))

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.broker = Broker(self)
        self.transactions: dict[int, Transaction] = {}
        self.processed: dict[int, int] = {}
        """By partition, up to where committed transactions have processed it."""

    def after(self, delay_ms: int, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, event))

    def number(self) -> int:
        self._count += 1
        return self._count

    def run_until(self, end_ms: int) -> None:
        while True:
            event_ms = self._events[0][0] if self._events else end_ms
            timer_ms = self.broker.next_timer_ms()
            if timer_ms is not None and timer_ms < event_ms:
                if timer_ms >= end_ms:
                    break
                self.now_ms = max(self.now_ms, timer_ms)
                self.broker.fire_timers()
            elif event_ms < end_ms:
                self.now_ms, _, event = heapq.heappop(self._events)
                event()
            else:
                break
        self.now_ms = end_ms

    # The network.

    def send(self, deliver: Callable[[Answer], None], receive: Answer) -> None:
        """Carries a request there and its answer back, unless one of them is lost. Some are late."""
        if self.random.random() < self.loss:
            return

        def answer(reply: Any) -> None:
            if self.random.random() >= self.loss:
                self.after(self._delay_ms(), lambda: receive(reply))

        self.after(self._delay_ms(), lambda: deliver(answer))

    def _delay_ms(self) -> int:
        late = self.random.random() < self.loss
        return self.random.randint(10, 1_500) if late else self.random.randint(1, 10)

    # The transaction coordinator.

    def begin(self, ranges: dict[int, tuple[int, int]]) -> int:
        """A transaction; it is aborted if it is not ended in time. Each has a producer id of its own, as of KIP-890."""
        producer_id = self.number()
        self.transactions[producer_id] = Transaction(ranges)
        self.after(TRANSACTION_TIMEOUT_MS, lambda: self.end(producer_id, "abort", lambda _: None))
        return producer_id

    def end(self, producer_id: int, state: str, answer: Answer) -> None:
        """Ends a transaction; answers whether it ended so, once its marker is on disk."""
        transaction = self.transactions[producer_id]
        if transaction.state == "open":
            transaction.state = state
            if state == "commit":
                for partition, (start, end) in transaction.ranges.items():
                    done = self.processed.get(partition, 0)
                    assert done == start, f"partition {partition}: {start}..{end} processed after 0..{done}"
                    self.processed[partition] = end
            self.broker.mark(producer_id)
        if transaction.marked:
            answer(transaction.state == state)
        else:
            self.after(20, lambda: self.end(producer_id, state, answer))


class Broker:
    """What broker/groups.py does, without asyncio: decide, append, apply, answer when it is on disk."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.up = True
        self.log: list[Appended] = []
        self._flushed = 0
        self._flushing = False
        self._answers: list[tuple[int, Callable[[], None]]] = []
        self._unmarked: dict[int, None] = {}
        self.handed_out = 0
        """The newest generation of which someone has an assignment."""
        self.owners: dict[int, dict[int, str]] = {}
        """By generation and partition, whose it is."""
        self._acknowledged: dict[int, int] = {}
        """By partition, where in the log its last acknowledged commit stands."""
        self._told: dict[str, JoinGroup] = {}
        """The newest JoinGroup of each member, since the last start."""
        self._start()

    def _start(self) -> None:
        self.coordinator = GroupCoordinator(self._world.settings)
        self._deadlines: Deadlines[TimerKey] = Deadlines()
        self._waiters: dict[int, tuple[Answer, Command]] = {}
        self._told.clear()
        for position in range(len(self.log)):
            self._apply(position)
        self._set(self.coordinator.loaded())
        self._check_acknowledged()

    def crash(self, down_ms: int) -> None:
        """Loses what waits, and of the log an end that was not on disk."""
        if not self.up:
            return
        self.up = False
        keep = self._world.random.randint(self._flushed, len(self.log))
        for position in range(self._flushed, len(self.log)):
            producer_id = self.log[position].producer_id
            if self.log[position].marker is None or producer_id is None:
                continue
            if position < keep:
                self._world.transactions[producer_id].marked = True
            else:
                self._unmarked[producer_id] = None
        del self.log[keep:]
        self._flushed = keep
        self._answers.clear()
        self._waiters.clear()
        self._world.after(down_ms, self._recover)

    def _recover(self) -> None:
        self.up = True
        self._start()
        for producer_id in tuple(self._unmarked):
            self.mark(producer_id)

    def handle(self, command: Command, answer: Answer) -> None:
        """Works on a request; a broker that is down says nothing."""
        if not self.up:
            return
        transaction = self._world.transactions.get(getattr(command, "producer_id", -1))
        if transaction is not None and transaction.state != "open":
            answer(PartsReply(ErrorCode.INVALID_PRODUCER_EPOCH))
            return
        waiter = getattr(command, "waiter", None)
        if waiter is not None:
            self._waiters[waiter] = (answer, command)
        decision = self.coordinator.decide(command, self._world.now_ms)
        producer_id = getattr(command, "producer_id", -1)
        for record in decision.records:
            self._append(Appended(*encode_record(record), None if producer_id < 0 else producer_id))
        self._set(decision.timers)
        self._check_commit(command, decision.reply)
        answers = [(*self._waiters.pop(number), reply) for number, reply in decision.released]
        if decision.reply is not None:
            self._waiters.pop(waiter or 0, None)
            answers.append((answer, command, decision.reply))
        self._note_joins(answers)
        for waiting, asked, reply in answers:
            self._answer(waiting, asked, reply)

    def fetch(self, partitions: list[int], answer: Answer) -> None:
        """Committed offsets by partition; None where a transaction is open."""
        if self.up:
            committed = self.coordinator.committed(GROUP)
            offsets: dict[int, int | None] = {}
            for partition in partitions:
                stored = committed.get((TOPIC, partition))
                offsets[partition] = stored.offset if stored is not None else 0
                if self.coordinator.unstable(GROUP, (TOPIC, partition)):
                    offsets[partition] = None
            self._when_flushed(lambda: answer(offsets))

    def mark(self, producer_id: int) -> None:
        """Ends a transaction in the log; again after a crash that lost the marker."""
        self._unmarked[producer_id] = None
        if not self.up:
            return
        del self._unmarked[producer_id]
        transaction = self._world.transactions[producer_id]
        self._append(Appended(producer_id=producer_id, marker=transaction.state == "commit"))

        def marked() -> None:
            transaction.marked = True

        self._when_flushed(marked)

    def next_timer_ms(self) -> int | None:
        return self._deadlines.next_ms() if self.up else None

    def fire_timers(self) -> None:
        for key in self._deadlines.pop_due(self._world.now_ms):
            self.handle(TimerFired(key), lambda _: None)

    # The log.

    def _append(self, entry: Appended) -> None:
        self.log.append(entry)
        self._apply(len(self.log) - 1)
        chance = self._world.random.random()
        if chance < REPLAYED:
            self._check_replay()
        elif chance < REPLAYED + self._world.loss * CRASHES_PER_LOSS:
            self._world.after(0, lambda: self.crash(100))

    def _apply(self, position: int) -> None:
        entry = self.log[position]
        if entry.marker is not None:
            assert entry.producer_id is not None
            self.coordinator.apply_marker(entry.producer_id, commit=entry.marker)
            return
        record = decode_record(entry.key, entry.value)
        assert record is not None
        if isinstance(record, OffsetStored) and entry.producer_id is None:
            stored = self.coordinator.committed(GROUP).get((record.topic, record.partition))
            assert stored is None or stored.offset <= record.offset, f"partition {record.partition} went back"
        self.coordinator.apply(record, position=position, producer_id=entry.producer_id)

    def _answer(self, answer: Answer, command: Command, reply: Any) -> None:
        end = len(self.log)

        def answered() -> None:
            if isinstance(command, SyncGroup) and not reply.error:
                self._check_assigned(command, reply)
            if isinstance(command, CommitOffsets) and not command.transactional and reply.parts:
                for position, entry in enumerate(command.entries, end - len(command.entries)):
                    self._acknowledged[entry.partition] = position
            answer(reply)

        self._when_flushed(answered)

    def _when_flushed(self, action: Callable[[], None]) -> None:
        if self._flushed >= len(self.log):
            action()
            return
        self._answers.append((len(self.log), action))
        if not self._flushing:
            self._flushing = True
            self._world.after(self._world.random.randint(1, 20), self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self.up:
            return
        self._flushed = len(self.log)
        due, self._answers = self._answers, []
        for _, action in due:
            action()

    def _set(self, timers: Any) -> None:
        for key, after_ms in timers:
            self._deadlines.set(key, None if after_ms is None else self._world.now_ms + after_ms)

    # What must always hold.

    def _check_commit(self, command: Command, reply: Any) -> None:
        if isinstance(command, CommitOffsets) and reply.parts:
            assert command.generation >= self.handed_out, (
                f"a zombie of generation {command.generation} has committed after {self.handed_out} was assigned"
            )

    def _check_acknowledged(self) -> None:
        for partition, position in self._acknowledged.items():
            stored = self.coordinator.committed(GROUP).get((TOPIC, partition))
            kept = stored is not None and stored.position >= position
            assert kept, f"partition {partition}: the commit at {position} in the log is lost; there is {stored}"

    def _check_replay(self) -> None:
        """A coordinator that reads the log now knows the same, and generations that are not stored yet are not."""
        fresh = GroupCoordinator(self._world.settings)
        live, self.coordinator = self.coordinator, fresh
        for position in range(len(self.log)):
            self._apply(position)
        self.coordinator = live
        assert dict(fresh.committed(GROUP)) == dict(live.committed(GROUP))
        where = [(TOPIC, partition) for partition in range(PARTITIONS)]
        assert [fresh.unstable(GROUP, one) for one in where] == [live.unstable(GROUP, one) for one in where]
        view = live.view(GROUP)
        if view is not None and (view.state == "Stable" or (view.state == "Empty" and view.generation)):
            assert fresh.view(GROUP) == view

    def _note_joins(self, answers: list[tuple[Answer, Command, Any]]) -> None:
        """What each member has said of itself last is what the leader is told about it."""
        for _, command, reply in answers:
            if isinstance(command, JoinGroup) and isinstance(reply, JoinReply) and not reply.error:
                self._told[reply.member_id] = command
        for _, _, reply in answers:
            if isinstance(reply, JoinReply):
                for member in reply.members:
                    told = self._told.get(member.member_id)
                    assert told is None or dict(told.protocols)[reply.protocol or ""] == member.metadata

    def _check_assigned(self, command: SyncGroup, reply: SyncReply) -> None:
        """A member is given this assignment: nobody else has any of it, nor holds it still."""
        generation = command.generation
        owner = command.instance_id or command.member_id
        self.handed_out = max(self.handed_out, generation)
        owners = self.owners.setdefault(generation, {})
        for partition in reply.assignment:
            assert owners.setdefault(partition, owner) == owner, (
                f"partition {partition} has two owners in generation {generation}: {owners[partition]} and {owner}"
            )
        if reply.protocol != COOPERATIVE:
            return
        for member_id, told in self._told.items():
            since, held = claimed(told.protocols[0][1].partition(b":")[2])
            holds = set(held) & set(reply.assignment)
            current = self.coordinator.view(GROUP)
            is_member = current is not None and any(member.member_id == member_id for member in current.members)
            if holds and is_member and member_id != command.member_id and since == generation - 1:
                raise AssertionError(f"{member_id} holds {holds}, which {owner} is given in generation {generation}")
