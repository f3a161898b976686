"""Which producer a transactional id belongs to, and who gets its next epoch. Pure.

Source: KIP-360; TransactionCoordinator.prepareInitProducerIdTransit and TransactionMetadata of Kafka 4.3.1.
Tested in tests/core/coordinators/test_transactions.py.
"""

from dataclasses import replace

from ..errors import ErrorCode
from .transaction_commands import InitProducerId, TransactionDecision, TransactionReply
from .transaction_endings import fence, refused
from .transaction_records import LAST_EPOCH, NO_EPOCH, NO_TIME, TransactionState, TransactionStored

State = TransactionState


def producer_fault(transaction: TransactionStored | None, producer_id: int, producer_epoch: int) -> ErrorCode:
    """Whether this is the producer that the transactional id belongs to now."""
    if transaction is None or transaction.producer_id != producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    current = transaction.producer_epoch == producer_epoch and producer_epoch != LAST_EPOCH
    return ErrorCode.NONE if current else ErrorCode.PRODUCER_FENCED


def initialise(
    transaction: TransactionStored | None, command: InitProducerId, now_ms: int, new_producer_id: int | None
) -> TransactionDecision:
    """A producer begins, or goes on after an error; what was left open is aborted first."""
    if transaction is None:
        if new_producer_id is None:
            return TransactionDecision(TransactionReply(), needs_producer_id=True)
        return _started(
            TransactionStored(
                transactional_id=command.transactional_id,
                producer_id=new_producer_id,
                producer_epoch=0,
                timeout_ms=command.timeout_ms,
                state=State.EMPTY,
                updated_ms=now_ms,
                previous_producer_id=new_producer_id,
            )
        )
    if not _may_be_the_producer(transaction, command.expected):
        return refused(ErrorCode.PRODUCER_FENCED)
    if transaction.state.prepared:
        return refused(ErrorCode.CONCURRENT_TRANSACTIONS)
    if transaction.state is State.ONGOING:
        # The epoch that fences is told to nobody: the producer asks again, and gets the one after it.
        fenced = fence(transaction, now_ms, new_producer_id)
        return replace(fenced, reply=TransactionReply(ErrorCode.CONCURRENT_TRANSACTIONS))
    return _next_producer(transaction, command, now_ms, new_producer_id)


def _may_be_the_producer(transaction: TransactionStored, expected: tuple[int, int] | None) -> bool:
    """Whether a producer that goes on may be the current one; its epoch is looked at when it gets the next.

    One that has the id before this one may have missed the answer that gave it the new id.
    """
    if expected is None or expected[0] == transaction.producer_id:
        return True
    return expected[0] == transaction.previous_producer_id and expected[1] >= LAST_EPOCH - 1


def _next_producer(
    transaction: TransactionStored, command: InitProducerId, now_ms: int, new_producer_id: int | None
) -> TransactionDecision:
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
    asks_again = expected_epoch == transaction.last_epoch and expected_epoch != NO_EPOCH
    if not asks_again and expected_epoch not in (None, transaction.producer_epoch):
        return refused(ErrorCode.PRODUCER_FENCED)
    if asks_again and transaction.producer_epoch != LAST_EPOCH:
        # The producer has not got the answer, and nobody else has begun meanwhile.
        return _started(idle.next())
    last_epoch = NO_EPOCH if expected_epoch is None else expected_epoch
    if not transaction.epoch_exhausted:
        return _started(idle.next(producer_epoch=transaction.producer_epoch + 1, last_epoch=last_epoch))
    if new_producer_id is None:
        return TransactionDecision(TransactionReply(), needs_producer_id=True)
    return _started(idle.next(producer_id=new_producer_id, producer_epoch=0, last_epoch=last_epoch))


def _started(transaction: TransactionStored) -> TransactionDecision:
    reply = TransactionReply(ErrorCode.NONE, transaction.producer_id, transaction.producer_epoch)
    return TransactionDecision(reply, transaction)
