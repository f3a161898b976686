"""Transactions of producers, as a state machine over __transaction_state; the first protocol generation. Pure.

decide() changes nothing: it gives at most one record, the reply, and the outcome to write into the partitions once the
record is on disk. apply() is the only writer of state, for new records and for replay alike. Shell:
broker/transactions.py. Source: KIP-98, 360 and 447; TransactionCoordinator and TransactionMetadata of Kafka 4.3.1.
Tested in tests/core/coordinators/test_transactions.py and by simulation in tests/sim/test_transaction_sim.py.
"""

from collections.abc import Iterator
from dataclasses import replace

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
from .transaction_records import (
    LAST_EPOCH,
    NO_EPOCH,
    NO_TIME,
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
                yield _outcome(transaction)

    def timed_out(self, now_ms: int) -> list[AbortTimedOut]:
        """The transactions whose time is over."""
        return [AbortTimedOut(one.transactional_id) for one in self._ids.values() if _is_late(one, now_ms)]

    def unused(self, now_ms: int) -> list[ExpireId]:
        """The transactional ids that have not been used for too long."""
        return [ExpireId(one.transactional_id) for one in self._ids.values() if self._is_unused(one, now_ms)]

    def write_fault(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partition: Partition
    ) -> ErrorCode:
        """Whether a producer may write to a partition now: only in its transaction, and after it has added it."""
        transaction = self._ids.get(transactional_id)
        fault = _producer_fault(transaction, producer_id, producer_epoch)
        if fault or transaction is None:
            return fault
        if transaction.state.prepared:
            return ErrorCode.CONCURRENT_TRANSACTIONS
        if transaction.state is not State.ONGOING or partition not in transaction.partitions:
            return ErrorCode.INVALID_TXN_STATE
        return ErrorCode.NONE

    # Deciding.

    def decide(self, command: TransactionCommand, now_ms: int) -> TransactionDecision:
        """What follows from a command. now_ms: wall-clock time, which is stored."""
        match command:
            case InitProducerId():
                return self._init(command, now_ms)
            case AddPartitions():
                return self._add(command, now_ms)
            case EndTransaction():
                return self._end(command, now_ms)
            case AbortTimedOut():
                transaction = self._ids.get(command.transactional_id)
                if transaction is None or not _is_late(transaction, now_ms):
                    return NOTHING
                return _prepared(_fenced(transaction), commit=False, now_ms=now_ms)
            case MarkersWritten():
                return self._complete(command, now_ms)
            case ExpireId():
                transaction = self._ids.get(command.transactional_id)
                if transaction is None or not self._is_unused(transaction, now_ms):
                    return NOTHING
                return TransactionDecision(TransactionReply(), TransactionRemoved(command.transactional_id))

    def _init(self, command: InitProducerId, now_ms: int) -> TransactionDecision:
        if not command.transactional_id:
            return _refused(ErrorCode.INVALID_REQUEST)
        if not 0 < command.timeout_ms <= self._config.transaction_max_timeout_ms:
            return _refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        transaction = self._ids.get(command.transactional_id)
        if transaction is None:
            if command.new_producer_id is None:
                return TransactionDecision(TransactionReply(), needs_producer_id=True)
            return _started(
                TransactionStored(
                    transactional_id=command.transactional_id,
                    producer_id=command.new_producer_id,
                    producer_epoch=0,
                    timeout_ms=command.timeout_ms,
                    state=State.EMPTY,
                    updated_ms=now_ms,
                )
            )
        if not _may_be_the_producer(transaction, command.expected):
            return _refused(ErrorCode.PRODUCER_FENCED)
        if transaction.state.prepared:
            return _refused(ErrorCode.CONCURRENT_TRANSACTIONS)
        if transaction.state is State.ONGOING:
            # The epoch that fences is told to nobody: the producer asks again, and gets the one after it.
            decision = _prepared(_fenced(transaction), commit=False, now_ms=now_ms)
            return replace(decision, reply=TransactionReply(ErrorCode.CONCURRENT_TRANSACTIONS))
        return _next_producer(transaction, command, now_ms)

    def _add(self, command: AddPartitions, now_ms: int) -> TransactionDecision:
        if not command.transactional_id:
            return _refused(ErrorCode.INVALID_REQUEST)
        transaction = self._ids.get(command.transactional_id)
        fault = _producer_fault(transaction, command.producer_id, command.producer_epoch)
        if fault or transaction is None:
            return _refused(fault)
        if transaction.state.prepared:
            return _refused(ErrorCode.CONCURRENT_TRANSACTIONS)
        ongoing = transaction.state is State.ONGOING
        if ongoing and command.partitions <= transaction.partitions:
            return NOTHING
        after = replace(
            transaction,
            state=State.ONGOING,
            partitions=transaction.partitions | command.partitions if ongoing else command.partitions,
            started_ms=transaction.started_ms if ongoing else now_ms,
            updated_ms=now_ms,
        )
        return TransactionDecision(TransactionReply(), after)

    def _end(self, command: EndTransaction, now_ms: int) -> TransactionDecision:
        if not command.transactional_id:
            return _refused(ErrorCode.INVALID_REQUEST)
        transaction = self._ids.get(command.transactional_id)
        fault = _producer_fault(transaction, command.producer_id, command.producer_epoch)
        if fault or transaction is None:
            return _refused(fault)
        prepared, complete = _ends(command.commit)
        if transaction.state is State.ONGOING:
            return _prepared(transaction, commit=command.commit, now_ms=now_ms)
        if transaction.state is complete:
            return NOTHING
        if transaction.state is prepared:
            return _refused(ErrorCode.CONCURRENT_TRANSACTIONS)
        return _refused(ErrorCode.INVALID_TXN_STATE)

    def _complete(self, command: MarkersWritten, now_ms: int) -> TransactionDecision:
        transaction = self._ids.get(command.transactional_id)
        told = (command.producer_id, command.producer_epoch)
        if transaction is None or told != (transaction.producer_id, transaction.producer_epoch):
            return NOTHING
        if not transaction.state.prepared:
            return NOTHING
        _, complete = _ends(transaction.state is State.PREPARE_COMMIT)
        after = replace(transaction, state=complete, partitions=frozenset(), updated_ms=now_ms)
        return TransactionDecision(TransactionReply(), after)

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


def _producer_fault(transaction: TransactionStored | None, producer_id: int, producer_epoch: int) -> ErrorCode:
    """Whether this is the producer that the transactional id belongs to now."""
    if transaction is None or transaction.producer_id != producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    return ErrorCode.NONE if transaction.producer_epoch == producer_epoch else ErrorCode.PRODUCER_FENCED


def _may_be_the_producer(transaction: TransactionStored, expected: tuple[int, int] | None) -> bool:
    """Whether a producer that goes on may be the current one; its epoch is looked at when it gets the next.

    One that has the id before this one may have missed the answer that gave it the new id.
    """
    if expected is None or expected[0] == transaction.producer_id:
        return True
    return expected[0] == transaction.previous_producer_id and expected[1] >= LAST_EPOCH - 1


def _next_producer(transaction: TransactionStored, command: InitProducerId, now_ms: int) -> TransactionDecision:
    """The next epoch, or a new producer id where there is none left, in a transactional id without a transaction."""
    expected_epoch = None if command.expected is None else command.expected[1]
    idle = replace(
        transaction,
        state=State.EMPTY,
        partitions=frozenset(),
        started_ms=NO_TIME,
        updated_ms=now_ms,
        timeout_ms=command.timeout_ms,
    )
    if expected_epoch in (None, transaction.producer_epoch):
        last_epoch = NO_EPOCH if expected_epoch is None else expected_epoch
        if not transaction.epoch_exhausted:
            return _started(replace(idle, producer_epoch=transaction.producer_epoch + 1, last_epoch=last_epoch))
        if command.new_producer_id is None:
            return TransactionDecision(TransactionReply(), needs_producer_id=True)
        return _started(
            replace(
                idle,
                producer_id=command.new_producer_id,
                producer_epoch=0,
                previous_producer_id=transaction.producer_id,
                last_epoch=last_epoch,
            )
        )
    if expected_epoch == transaction.last_epoch:
        # The producer asks again: it has not got the answer, and nobody else has begun meanwhile.
        return _started(idle)
    return _refused(ErrorCode.PRODUCER_FENCED)


def _started(transaction: TransactionStored) -> TransactionDecision:
    reply = TransactionReply(ErrorCode.NONE, transaction.producer_id, transaction.producer_epoch)
    return TransactionDecision(reply, transaction)


def _fenced(transaction: TransactionStored) -> TransactionStored:
    """With an epoch that no producer has: whoever still writes is refused by every partition that gets the marker.

    The producer that had the epoch before may go on with this one, as long as no other has asked for the id.
    """
    assert transaction.producer_epoch < LAST_EPOCH, f"no epoch is left to fence {transaction}"
    return replace(transaction, producer_epoch=transaction.producer_epoch + 1, last_epoch=transaction.producer_epoch)


def _prepared(transaction: TransactionStored, *, commit: bool, now_ms: int) -> TransactionDecision:
    prepared, _ = _ends(commit)
    after = replace(transaction, state=prepared, updated_ms=now_ms)
    return TransactionDecision(TransactionReply(), after, _outcome(after))


def _outcome(transaction: TransactionStored) -> Outcome:
    return Outcome(
        transaction.transactional_id,
        transaction.producer_id,
        transaction.producer_epoch,
        transaction.state is State.PREPARE_COMMIT,
        tuple(sorted(transaction.partitions)),
    )


def _ends(commit: bool) -> tuple[TransactionState, TransactionState]:
    if commit:
        return State.PREPARE_COMMIT, State.COMPLETE_COMMIT
    return State.PREPARE_ABORT, State.COMPLETE_ABORT


def _is_late(transaction: TransactionStored, now_ms: int) -> bool:
    return transaction.state is State.ONGOING and transaction.started_ms + transaction.timeout_ms < now_ms


def _refused(code: ErrorCode) -> TransactionDecision:
    return TransactionDecision(TransactionReply(code))
