"""A transaction coordinator with one transactional id, driven step by step."""

from millstream.core.coordinators.transaction_commands import (
    AddPartitions,
    EndTransaction,
    InitProducerId,
    MarkersWritten,
    TransactionCommand,
    TransactionConfig,
    TransactionDecision,
)
from millstream.core.coordinators.transaction_records import SECOND_PROTOCOL, TransactionState
from millstream.core.coordinators.transactions import TransactionCoordinator
from millstream.core.errors import ErrorCode

ID = "payments"
LOGS = frozenset({("logs", 0), ("logs", 1)})
Producer = tuple[int, int]


class Driver:
    """A coordinator whose decisions are carried out at once; producer ids are 100, 101, ..."""

    def __init__(self) -> None:
        self.coordinator = TransactionCoordinator(
            TransactionConfig(transaction_max_timeout_ms=60_000, transactional_id_expiration_ms=1_000_000)
        )
        self.now_ms = 1_000
        self.next_producer_id = 100

    def run(self, command: TransactionCommand) -> TransactionDecision:
        decision = self.coordinator.decide(command, self.now_ms)
        if decision.needs_producer_id:
            decision = self.coordinator.decide(command, self.now_ms, new_producer_id=self.next_producer_id)
            self.next_producer_id += 1
        if decision.record is not None:
            self.coordinator.apply(decision.record)
        return decision

    def init(self, expected: Producer | None = None, timeout_ms: int = 30_000) -> Producer:
        reply = self.run(InitProducerId(ID, timeout_ms, expected)).reply
        assert reply.code is ErrorCode.NONE, reply
        return reply.producer_id, reply.producer_epoch

    def add(self, producer: Producer, partitions: frozenset[tuple[str, int]] = LOGS, protocol: int = 0) -> ErrorCode:
        return self.run(AddPartitions(ID, *producer, partitions, protocol)).reply.code

    def end(self, producer: Producer, *, commit: bool = True) -> TransactionDecision:
        return self.run(EndTransaction(ID, *producer, commit))

    def end_and_go_on(self, producer: Producer, *, commit: bool = True) -> TransactionDecision:
        """As producers of the second protocol do."""
        return self.run(EndTransaction(ID, *producer, commit, SECOND_PROTOCOL))

    def written(self) -> None:
        stored = self.stored
        self.run(MarkersWritten(ID, stored.producer_id, stored.producer_epoch))

    @property
    def stored(self):
        found = self.coordinator.get(ID)
        assert found is not None
        return found

    @property
    def state(self) -> TransactionState:
        return self.stored.state
