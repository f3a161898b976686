"""How a transaction ends: by its producer, in either protocol, by a fence, and once its markers are written. Pure.

In the first protocol a producer keeps its epoch over many transactions. In the second (KIP-890) each end gives it the
next epoch, so that nothing of one transaction can be taken for a part of the next; a request that is repeated is known
by the epoch before. Source: TransactionCoordinator.endTransaction and TransactionMetadata of Kafka 4.3.1.
Tested in tests/core/coordinators/test_transactions.py and test_second_generation.py.
"""

from dataclasses import replace

from ..errors import ErrorCode
from ..wire.batches import NO_PRODUCER_ID
from .transaction_commands import EndTransaction, Outcome, TransactionDecision, TransactionReply
from .transaction_records import (
    LAST_EPOCH,
    SECOND_PROTOCOL,
    TransactionState,
    TransactionStored,
)

State = TransactionState


def refused(code: ErrorCode) -> TransactionDecision:
    return TransactionDecision(TransactionReply(code))


def outcome_of(transaction: TransactionStored) -> Outcome:
    """What is to be written into the partitions of a transaction whose end is decided."""
    return Outcome(
        transaction.transactional_id,
        transaction.producer_id,
        transaction.producer_epoch,
        transaction.state is State.PREPARE_COMMIT,
        tuple(sorted(transaction.partitions)),
    )


def end(transaction: TransactionStored, command: EndTransaction, now_ms: int) -> TransactionDecision:
    """A producer of the first protocol commits or aborts; it is the one that the transactional id belongs to now."""
    prepared, complete = _ends(command.commit)
    if transaction.state is State.ONGOING:
        return _prepared(transaction.next(client_version=command.protocol), commit=command.commit, now_ms=now_ms)
    if transaction.state is complete:
        return TransactionDecision(TransactionReply())
    if transaction.state is prepared:
        return refused(ErrorCode.CONCURRENT_TRANSACTIONS)
    return refused(ErrorCode.INVALID_TXN_STATE)


def end_and_go_on(
    transaction: TransactionStored, command: EndTransaction, now_ms: int, new_producer_id: int | None
) -> TransactionDecision:
    """A producer of the second protocol commits or aborts, and is told with which id and epoch it goes on.

    An abort is always in place, for the producer may not know whether anything of its transaction has arrived.
    """
    same_id = transaction.producer_id == command.producer_id
    is_next_epoch = transaction.producer_epoch == command.producer_epoch + 1
    # The last epoch of all is told to nobody; logs of older brokers may hold it. Kafka takes an end of the first
    # protocol for a repeated one, too, by whoever has the epoch before: a zombie of the second would go on with the
    # epoch of its successor.
    bumped = (
        is_next_epoch and transaction.producer_epoch != LAST_EPOCH and transaction.client_version >= SECOND_PROTOCOL
    )
    changed_id = (
        not same_id
        and transaction.previous_producer_id == command.producer_id
        and command.producer_epoch == LAST_EPOCH - 1
        and transaction.producer_epoch == 0
    )
    if not same_id and not changed_id:
        return refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    repeated = bumped or changed_id
    prepared, complete = _ends(command.commit)
    if transaction.state.prepared:
        # The epoch of a prepared end is the next one already.
        if not is_next_epoch:
            return refused(ErrorCode.PRODUCER_FENCED)
        same = transaction.state is prepared
        return refused(ErrorCode.CONCURRENT_TRANSACTIONS if same else ErrorCode.INVALID_TXN_STATE)
    if repeated and transaction.state in (State.COMPLETE_COMMIT, State.COMPLETE_ABORT):
        return _told_again(transaction) if transaction.state is complete else refused(ErrorCode.INVALID_TXN_STATE)
    is_current = transaction.producer_epoch == command.producer_epoch and command.producer_epoch != LAST_EPOCH
    if changed_id or not is_current:
        return refused(ErrorCode.PRODUCER_FENCED)
    if transaction.state is not State.ONGOING and command.commit:
        return refused(ErrorCode.INVALID_TXN_STATE)
    return _next_epoch(transaction, command, now_ms, new_producer_id)


def _told_again(transaction: TransactionStored) -> TransactionDecision:
    return TransactionDecision(TransactionReply(ErrorCode.NONE, transaction.producer_id, transaction.producer_epoch))


def _next_epoch(
    transaction: TransactionStored, command: EndTransaction, now_ms: int, new_producer_id: int | None
) -> TransactionDecision:
    after = _with_next_epoch(transaction, new_producer_id)
    if after is None:
        return TransactionDecision(TransactionReply(), needs_producer_id=True)
    if transaction.state is not State.ONGOING:
        after = replace(after, started_ms=now_ms)
    decision = _prepared(after, commit=command.commit, now_ms=now_ms)
    changes = after.next_producer_id != NO_PRODUCER_ID
    told = (after.next_producer_id, 0) if changes else (after.producer_id, after.producer_epoch)
    return replace(decision, reply=TransactionReply(ErrorCode.NONE, *told))


def fence(transaction: TransactionStored, now_ms: int, new_producer_id: int | None) -> TransactionDecision:
    """Aborts an ongoing transaction with an epoch that no producer has: whoever writes on is refused by every partition
    that gets the marker.

    The producer that had the epoch before may go on with this one, or with the new id where the epochs have run out, as
    long as no other has asked for the transactional id.
    """
    fenced = _with_next_epoch(transaction, new_producer_id)
    if fenced is None:
        return TransactionDecision(TransactionReply(), needs_producer_id=True)
    return _prepared(fenced, commit=False, now_ms=now_ms)


def _with_next_epoch(transaction: TransactionStored, new_producer_id: int | None) -> TransactionStored | None:
    """As the second protocol goes on; None: it takes a new producer id, for the epochs have run out."""
    assert transaction.producer_epoch < LAST_EPOCH, f"no epoch is left to end {transaction}"
    if transaction.epoch_exhausted and new_producer_id is None:
        return None
    return transaction.next(
        producer_epoch=transaction.producer_epoch + 1,
        last_epoch=transaction.producer_epoch,
        next_producer_id=new_producer_id if transaction.epoch_exhausted else NO_PRODUCER_ID,
        client_version=SECOND_PROTOCOL,
    )


def complete(transaction: TransactionStored, now_ms: int) -> TransactionDecision:
    """The markers of a prepared end are on disk."""
    _, state = _ends(transaction.state is State.PREPARE_COMMIT)
    after = transaction.next(state=state, partitions=frozenset(), updated_ms=now_ms)
    if transaction.next_producer_id != NO_PRODUCER_ID and transaction.client_version >= SECOND_PROTOCOL:
        after = replace(
            after, producer_id=transaction.next_producer_id, producer_epoch=0, next_producer_id=NO_PRODUCER_ID
        )
    return TransactionDecision(TransactionReply(), after)


def _prepared(transaction: TransactionStored, *, commit: bool, now_ms: int) -> TransactionDecision:
    prepared, _ = _ends(commit)
    after = replace(transaction, state=prepared, updated_ms=now_ms)
    return TransactionDecision(TransactionReply(), after, outcome_of(after))


def _ends(commit: bool) -> tuple[TransactionState, TransactionState]:
    if commit:
        return State.PREPARE_COMMIT, State.COMPLETE_COMMIT
    return State.PREPARE_ABORT, State.COMPLETE_ABORT
