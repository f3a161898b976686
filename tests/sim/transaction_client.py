"""A transactional producer in a simulated world: it retries, stalls, dies, and goes on after errors where it may.

It speaks one of the two protocols: in the first it adds partitions, in the second each end gives it the next epoch.
"""

from collections.abc import Callable
from typing import Any

from sim.transaction_world import PARTITIONS, TIMEOUT_MS, TOPIC, Entry, World

from millstream.core.coordinators.transaction_commands import (
    AddPartitions,
    EndTransaction,
    InitProducerId,
    TransactionCommand,
    TransactionReply,
)
from millstream.core.coordinators.transaction_records import FIRST_PROTOCOL, SECOND_PROTOCOL
from millstream.core.errors import ErrorCode

PATIENCE_MS = 700
FENCED = (ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_PRODUCER_ID_MAPPING)


class Transaction:
    """What a client did in a transaction, and what it knows of its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged: set[tuple[str, int, int]] = set()
        self.commit_asked = False
        self.outcome: bool | None = None


class Client:
    """Instance number `instance` of the producer with `transactional_id`."""

    def __init__(self, world: World, transactional_id: str, instance: int, history: list[Transaction]) -> None:
        self.world = world
        self.transactional_id = transactional_id
        self.instance = instance
        self.history = history
        self.alive = True
        self.committed = 0
        self.protocol = world.random.choice([FIRST_PROTOCOL, SECOND_PROTOCOL])
        self._connection = 0
        self._stalled_until = 0
        self._producer = (-1, -1)
        self._sequences: dict[int, int] = {}
        self._init(None)

    def die(self) -> None:
        self.alive = False

    def stall(self, for_ms: int) -> None:
        self._stalled_until = self.world.now_ms + for_ms

    # Talking to the broker: one request at a time; one that is not answered is sent again on a new connection.

    def _call(self, send: Callable[[Callable[[Any], None]], None], then: Callable[[Any], None]) -> None:
        self._connection += 1
        connection = self._connection
        chance = self.world.random

        def deliver() -> None:
            # One of a closed connection is not delivered; one of a stalled client may be under way for all that time.
            left_ms = self._stalled_until - self.world.now_ms
            if left_ms > 0 and chance.random() < 0.7:
                self.world.after(chance.randint(1, left_ms), deliver)
            elif connection == self._connection and chance.random() >= self.world.loss:
                send(answer)

        def answer(reply: Any) -> None:
            if chance.random() >= self.world.loss:
                self.world.after(chance.randint(0, 10), lambda: receive(reply))

        def receive(reply: Any) -> None:
            if self._may_act(lambda: receive(reply)) and connection == self._connection:
                self._connection += 1
                then(reply)

        def give_up() -> None:
            if self._may_act(give_up) and connection == self._connection:
                self._call(send, then)

        self.world.after(chance.randint(0, 30), deliver)
        self.world.after(PATIENCE_MS, give_up)

    def _may_act(self, again: Callable[[], None]) -> bool:
        if not self.alive:
            return False
        if self.world.now_ms < self._stalled_until:
            self.world.after(self._stalled_until - self.world.now_ms, again)
            return False
        return True

    def _later(self, action: Callable[[], None]) -> None:
        def act() -> None:
            if self._may_act(act):
                action()

        self.world.after(self.world.random.randint(1, 60), act)

    def _ask(self, command: TransactionCommand, then: Callable[[TransactionReply], None]) -> None:
        def replied(reply: TransactionReply) -> None:
            if reply.code is ErrorCode.CONCURRENT_TRANSACTIONS:
                self._later(lambda: self._ask(command, then))
            else:
                then(reply)

        self._call(lambda answer: self.world.broker.ask(self.instance, command, answer), replied)

    # What a producer does.

    def _init(self, expected: tuple[int, int] | None) -> None:
        def replied(reply: TransactionReply) -> None:
            if reply.code is not ErrorCode.NONE:
                self.die()
                return
            self._producer = (reply.producer_id, reply.producer_epoch)
            self._sequences = {}
            self._later(self._begin)

        self._ask(InitProducerId(self.transactional_id, TIMEOUT_MS, expected), replied)

    def _begin(self) -> None:
        chance = self.world.random
        self._now = Transaction(f"{self.transactional_id}#{self.instance}.{len(self.history)}")
        self.history.append(self._now)
        numbers = chance.sample(range(PARTITIONS), chance.randint(1, PARTITIONS))
        todo = [number for number in numbers for _ in range(chance.randint(1, 3))]
        if self.protocol == SECOND_PROTOCOL:
            self._produce(todo)
            return
        command = AddPartitions(
            self.transactional_id, *self._producer, frozenset((TOPIC, number) for number in numbers)
        )
        self._ask(command, lambda reply: self._recover() if reply.code else self._produce(todo))

    def _produce(self, todo: list[int]) -> None:
        if not todo:
            self._end(commit=self.world.random.random() < 0.7)
            return
        partition, rest = todo[0], todo[1:]
        sequence = self._sequences.get(partition, 0)
        value = (self._now.name, partition, len(rest))
        entry = Entry(*self._producer, sequence, value)

        def replied(code: ErrorCode) -> None:
            if code is ErrorCode.NONE:
                self._sequences[partition] = sequence + 1
                self._now.acknowledged.add(value)
                self._later(lambda: self._produce(rest))
            elif code is ErrorCode.CONCURRENT_TRANSACTIONS:
                self._later(lambda: self._produce(todo))
            else:
                self._recover()

        broker = self.world.broker
        write = broker.produce if self.protocol == FIRST_PROTOCOL else broker.join_and_produce
        self._call(lambda answer: write(self.transactional_id, self.instance, partition, entry, answer), replied)

    def _end(self, *, commit: bool) -> None:
        self._now.commit_asked |= commit

        def replied(reply: TransactionReply) -> None:
            if reply.code is not ErrorCode.NONE:
                self._recover(aborted=not commit)
                return
            self._now.outcome = commit
            self.committed += commit
            if self.protocol == SECOND_PROTOCOL:
                self._producer = (reply.producer_id, reply.producer_epoch)
                self._sequences = {}
            self._later(self._begin)

        self._ask(EndTransaction(self.transactional_id, *self._producer, commit, self.protocol), replied)

    def _recover(self, *, aborted: bool = False) -> None:
        """After an error the producer asks to go on, and is refused if another has taken over."""
        if self.protocol == SECOND_PROTOCOL and not aborted:
            self._end(commit=False)
        else:
            self._init(self._producer)
