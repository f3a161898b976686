"""Transactions of producers, as a state machine over __transaction_state; both protocol generations. Pure.

decide() changes nothing: it gives at most one record, the reply, and the outcome to write into the partitions once the
record is on disk. apply() is the only writer of state, for new records and for replay alike. Shell:
broker/coordination/transactions.py; rules: transaction_producers.py, transaction_endings.py.
Source: KIP-98, 360, 447 and 890; TransactionCoordinator of Kafka 4.3.1. Tested in
tests/core/coordinators/test_transactions.py, test_second_generation.py and in tests/sim/test_transaction_sim.py.
"""

from collections.abc import Iterator

from ..errors import ErrorCode
from .transaction_commands import (
    AbortTimedOut,
    AddPartitions,
    EndTransaction,
    ExpireId,
    InitProducerId,
    MarkersWritten,
    Outcome,
    TransactionCommand,
    TransactionConfig,
    TransactionDecision,
    TransactionReply,
)
from .transaction_endings import complete, end, end_and_go_on, fence, outcome_of, refused
from .transaction_producers import initialise, producer_fault
from .transaction_records import (
    SECOND_PROTOCOL,
    Partition,
    TransactionRecord,
    TransactionRemoved,
    TransactionState,
    TransactionStored,
)

State = TransactionState
NOTHING = TransactionDecision(TransactionReply())


class TransactionCoordinator:
    """All transactional ids of a broker. apply() follows decide() at once, before the next decision."""

    def __init__(self, config: TransactionConfig) -> None:
        self._config = config
        self._ids: dict[str, TransactionStored] = {}

    # What is known.

    def get(self, transactional_id: str) -> TransactionStored | None:
        return self._ids.get(transactional_id)

    def all(self) -> tuple[TransactionStored, ...]:
        """Every transactional id, in the order in which they were first seen."""
        return tuple(self._ids.values())

    def prepared(self) -> Iterator[Outcome]:
        """Outcomes that may not be in all partitions yet; after a replay they are written again."""
        for transaction in self._ids.values():
            if transaction.state.prepared:
                yield outcome_of(transaction)

    def timed_out(self, now_ms: int) -> list[AbortTimedOut]:
        """The transactions whose time is over."""
        return [AbortTimedOut(one.transactional_id) for one in self._ids.values() if _is_late(one, now_ms)]

    def unused(self, now_ms: int) -> list[ExpireId]:
        """The transactional ids that have not been used for too long."""
        return [ExpireId(one.transactional_id) for one in self._ids.values() if self._is_unused(one, now_ms)]

    def write_fault(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partition: Partition
    ) -> ErrorCode:
        """Whether a producer may write to a partition now: only in its transaction, and after it was added to it.

        TRANSACTION_ABORTABLE: it is not in the transaction, or there is none.
        """
        transaction = self._ids.get(transactional_id)
        fault = producer_fault(transaction, producer_id, producer_epoch)
        if fault or transaction is None:
            return fault
        if transaction.state.prepared:
            return ErrorCode.CONCURRENT_TRANSACTIONS
        if transaction.state is not State.ONGOING or partition not in transaction.partitions:
            return ErrorCode.TRANSACTION_ABORTABLE
        return ErrorCode.NONE

    # Deciding.

    def decide(
        self, command: TransactionCommand, now_ms: int, *, new_producer_id: int | None = None
    ) -> TransactionDecision:
        """What follows from a command.

        now_ms: wall-clock time, which is stored. new_producer_id: one that nobody has, for a decision that needs it.
        """
        match command:
            case InitProducerId():
                return self._init(command, now_ms, new_producer_id)
            case AddPartitions():
                return self._add(command, now_ms)
            case EndTransaction():
                return self._end(command, now_ms, new_producer_id)
            case AbortTimedOut():
                transaction = self._ids.get(command.transactional_id)
                if transaction is None or not _is_late(transaction, now_ms):
                    return NOTHING
                return fence(transaction, now_ms, new_producer_id)
            case MarkersWritten():
                return self._complete(command, now_ms)
            case ExpireId():
                transaction = self._ids.get(command.transactional_id)
                if transaction is None or not self._is_unused(transaction, now_ms):
                    return NOTHING
                return TransactionDecision(TransactionReply(), TransactionRemoved(command.transactional_id))

    def _init(self, command: InitProducerId, now_ms: int, new_producer_id: int | None) -> TransactionDecision:
        if not command.transactional_id:
            return refused(ErrorCode.INVALID_REQUEST)
        if not 0 < command.timeout_ms <= self._config.transaction_max_timeout_ms:
            return refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        return initialise(self._ids.get(command.transactional_id), command, now_ms, new_producer_id)

    def _add(self, command: AddPartitions, now_ms: int) -> TransactionDecision:
        if not command.transactional_id:
            return refused(ErrorCode.INVALID_REQUEST)
        transaction = self._ids.get(command.transactional_id)
        fault = producer_fault(transaction, command.producer_id, command.producer_epoch)
        if fault or transaction is None:
            return refused(fault)
        if transaction.state.prepared:
            return refused(ErrorCode.CONCURRENT_TRANSACTIONS)
        ongoing = transaction.state is State.ONGOING
        if ongoing and command.partitions <= transaction.partitions:
            return NOTHING
        after = transaction.next(
            state=State.ONGOING,
            partitions=transaction.partitions | command.partitions if ongoing else command.partitions,
            started_ms=transaction.started_ms if ongoing else now_ms,
            updated_ms=now_ms,
            client_version=command.protocol,
        )
        return TransactionDecision(TransactionReply(), after)

    def _end(self, command: EndTransaction, now_ms: int, new_producer_id: int | None) -> TransactionDecision:
        if not command.transactional_id:
            return refused(ErrorCode.INVALID_REQUEST)
        transaction = self._ids.get(command.transactional_id)
        if command.protocol >= SECOND_PROTOCOL and transaction is not None:
            return end_and_go_on(transaction, command, now_ms, new_producer_id)
        fault = producer_fault(transaction, command.producer_id, command.producer_epoch)
        if fault or transaction is None:
            return refused(fault)
        return end(transaction, command, now_ms)

    def _complete(self, command: MarkersWritten, now_ms: int) -> TransactionDecision:
        transaction = self._ids.get(command.transactional_id)
        told = (command.producer_id, command.producer_epoch)
        if transaction is None or told != (transaction.producer_id, transaction.producer_epoch):
            return NOTHING
        return complete(transaction, now_ms) if transaction.state.prepared else NOTHING

    def _is_unused(self, transaction: TransactionStored, now_ms: int) -> bool:
        idle = transaction.state in (State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT)
        return idle and transaction.updated_ms <= now_ms - self._config.transactional_id_expiration_ms

    # Applying.

    def apply(self, record: TransactionRecord) -> None:
        """Takes what the log holds."""
        if isinstance(record, TransactionRemoved):
            self._ids.pop(record.transactional_id, None)
        else:
            self._ids[record.transactional_id] = record


def _is_late(transaction: TransactionStored, now_ms: int) -> bool:
    return transaction.state is State.ONGOING and transaction.started_ms + transaction.timeout_ms < now_ms
