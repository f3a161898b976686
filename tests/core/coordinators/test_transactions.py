"""Transactional ids as a state machine: who may do what in which state, and what follows from it."""

from dataclasses import replace

import pytest
from core.coordinators.transaction_driver import ID, LOGS, Driver

from millstream.core.coordinators.transaction_commands import (
    AbortTimedOut,
    AddPartitions,
    EndTransaction,
    ExpireId,
    InitProducerId,
    MarkersWritten,
    Outcome,
    TransactionDecision,
    TransactionReply,
)
from millstream.core.coordinators.transaction_records import LAST_EPOCH, TransactionRemoved, TransactionState
from millstream.core.errors import ErrorCode


def test_a_transaction_goes_from_empty_over_ongoing_and_prepared_to_complete() -> None:
    driver = Driver()
    producer = driver.init()
    states = [driver.state]
    driver.add(producer)
    states.append(driver.state)
    decision = driver.end(producer)
    states.append(driver.state)
    driver.written()
    states.append(driver.state)

    assert producer == (100, 0)
    assert [state.title for state in states] == ["Empty", "Ongoing", "PrepareCommit", "CompleteCommit"]
    assert decision.outcome == Outcome(ID, 100, 0, True, (("logs", 0), ("logs", 1)))
    assert driver.stored.partitions == frozenset()


def test_deciding_changes_nothing() -> None:
    driver = Driver()
    producer = driver.init()
    before = driver.coordinator.all()

    driver.coordinator.decide(AddPartitions(ID, *producer, LOGS), 5)
    driver.coordinator.decide(InitProducerId(ID, 1_000), 5)

    assert driver.coordinator.all() == before


def test_adding_partitions_that_are_in_the_transaction_writes_nothing() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer)

    decision = driver.run(AddPartitions(ID, *producer, frozenset({("logs", 1)})))

    assert decision == TransactionDecision(TransactionReply())


def test_partitions_add_up_while_a_transaction_is_ongoing_and_begin_anew_in_the_next() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer, frozenset({("a", 0)}))
    driver.add(producer, frozenset({("b", 0)}))
    in_first = driver.stored.partitions
    driver.end(producer)
    driver.written()
    driver.add(producer, frozenset({("c", 0)}))

    assert in_first == {("a", 0), ("b", 0)}
    assert driver.stored.partitions == {("c", 0)}


def test_a_new_producer_fences_the_one_before() -> None:
    driver = Driver()
    old = driver.init()
    new = driver.init()

    assert new == (old[0], old[1] + 1)
    assert driver.add(old) is ErrorCode.PRODUCER_FENCED
    assert driver.end(old).reply.code is ErrorCode.PRODUCER_FENCED
    assert driver.add(new) is ErrorCode.NONE


def test_a_producer_id_that_is_not_the_ids_own_is_refused() -> None:
    driver = Driver()
    producer_id, epoch = driver.init()

    assert driver.add((producer_id + 1, epoch)) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.end((producer_id + 1, epoch)).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    unknown = driver.run(EndTransaction("nobody", producer_id, epoch, True))
    assert unknown.reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_a_new_producer_aborts_what_the_one_before_left_open_and_waits_until_that_is_done() -> None:
    driver = Driver()
    old = driver.init()
    driver.add(old)

    first = driver.run(InitProducerId(ID, 30_000))
    while_aborting = driver.run(InitProducerId(ID, 30_000))
    driver.written()
    new = driver.init()

    assert first.reply.code is ErrorCode.CONCURRENT_TRANSACTIONS
    assert first.outcome == Outcome(ID, old[0], old[1] + 1, False, (("logs", 0), ("logs", 1)))
    assert while_aborting == TransactionDecision(TransactionReply(ErrorCode.CONCURRENT_TRANSACTIONS))
    assert new == (old[0], old[1] + 2)


def test_nothing_new_begins_while_the_outcome_is_written() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer)
    driver.end(producer)

    assert driver.add(producer) is ErrorCode.CONCURRENT_TRANSACTIONS
    assert driver.end(producer).reply.code is ErrorCode.CONCURRENT_TRANSACTIONS
    assert driver.run(InitProducerId(ID, 30_000)).reply.code is ErrorCode.CONCURRENT_TRANSACTIONS


@pytest.mark.parametrize("commit", [True, False])
def test_an_end_repeated_is_done_already_and_the_other_end_is_refused(commit: bool) -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer)
    driver.end(producer, commit=commit)
    assert driver.end(producer, commit=not commit).reply.code is ErrorCode.INVALID_TXN_STATE
    driver.written()

    assert driver.end(producer, commit=commit) == TransactionDecision(TransactionReply())
    assert driver.end(producer, commit=not commit).reply.code is ErrorCode.INVALID_TXN_STATE


def test_a_transaction_that_has_not_begun_cannot_end() -> None:
    driver = Driver()
    producer = driver.init()

    assert driver.end(producer).reply.code is ErrorCode.INVALID_TXN_STATE
    assert driver.end(producer, commit=False).reply.code is ErrorCode.INVALID_TXN_STATE


@pytest.mark.parametrize(
    ("transactional_id", "timeout_ms", "code"),
    [
        ("", 1_000, ErrorCode.INVALID_REQUEST),
        (ID, 0, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        (ID, -1, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        (ID, 60_001, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
    ],
)
def test_an_id_and_a_timeout_within_bounds_are_needed(transactional_id: str, timeout_ms: int, code: ErrorCode) -> None:
    assert Driver().run(InitProducerId(transactional_id, timeout_ms)).reply.code is code


def test_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() -> None:
    driver = Driver()
    producer = driver.init(timeout_ms=5_000)
    driver.add(producer)
    driver.now_ms += 5_000
    early = driver.coordinator.timed_out(driver.now_ms)
    driver.now_ms += 1

    late = driver.coordinator.timed_out(driver.now_ms)
    decision = driver.run(late[0])

    assert (early, late) == ([], [AbortTimedOut(ID)])
    assert decision.outcome == Outcome(ID, producer[0], producer[1] + 1, False, (("logs", 0), ("logs", 1)))
    assert driver.end(producer).reply.code is ErrorCode.PRODUCER_FENCED
    assert driver.coordinator.timed_out(driver.now_ms) == []


def test_a_timeout_that_comes_when_the_producer_has_just_ended_does_nothing() -> None:
    driver = Driver()
    producer = driver.init(timeout_ms=5_000)
    driver.add(producer)
    driver.now_ms += 5_001
    driver.end(producer)

    assert driver.run(AbortTimedOut(ID)) == TransactionDecision(TransactionReply())
    assert driver.state is TransactionState.PREPARE_COMMIT


def test_a_producer_whose_transaction_timed_out_may_go_on_under_the_new_epoch() -> None:
    driver = Driver()
    producer = driver.init(timeout_ms=5_000)
    driver.add(producer)
    driver.now_ms += 5_001
    driver.run(AbortTimedOut(ID))
    driver.written()

    assert driver.init(expected=producer) == (producer[0], producer[1] + 1)


def test_a_producer_that_goes_on_gets_the_next_epoch_once_however_often_it_asks() -> None:
    driver = Driver()
    first = driver.init()

    second = driver.init(expected=first)
    again = driver.init(expected=first)

    assert second == again == (first[0], first[1] + 1)


def test_a_producer_that_wants_to_go_on_after_another_began_is_fenced() -> None:
    driver = Driver()
    first = driver.init()
    driver.init()

    assert driver.run(InitProducerId(ID, 30_000, first)).reply.code is ErrorCode.PRODUCER_FENCED
    assert driver.run(InitProducerId(ID, 30_000, (first[0] + 7, 0))).reply.code is ErrorCode.PRODUCER_FENCED


def test_an_id_whose_state_has_expired_lets_its_producer_go_on_with_a_new_producer_id() -> None:
    assert Driver().init(expected=(55, 3)) == (100, 0)


def exhausted_driver() -> Driver:
    driver = Driver()
    driver.init()
    driver.coordinator.apply(replace(driver.stored, producer_epoch=LAST_EPOCH - 1))
    return driver


def test_when_the_epochs_run_out_a_new_producer_id_is_taken() -> None:
    assert exhausted_driver().init() == (101, 0)


def test_the_producer_that_used_up_the_epochs_may_ask_again_for_its_new_id() -> None:
    driver = exhausted_driver()
    old = (100, LAST_EPOCH - 1)

    assert driver.init(expected=old) == (101, 0)
    assert driver.init(expected=old) == (101, 0)


def test_the_last_epoch_of_all_is_left_to_fence_with() -> None:
    driver = exhausted_driver()
    driver.add((100, LAST_EPOCH - 1))

    decision = driver.run(InitProducerId(ID, 30_000))
    driver.written()

    assert decision.outcome is not None
    assert decision.outcome.producer_epoch == LAST_EPOCH
    assert driver.init() == (101, 1)


def test_ids_that_are_not_used_expire_and_those_in_a_transaction_do_not() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer)
    driver.now_ms += 1_000_001
    in_transaction = driver.coordinator.unused(driver.now_ms)
    driver.end(producer)
    driver.written()
    driver.now_ms += 1_000_000

    assert in_transaction == []
    assert driver.coordinator.unused(driver.now_ms) == [ExpireId(ID)]
    assert driver.run(ExpireId(ID)).record == TransactionRemoved(ID)
    assert driver.coordinator.all() == ()


def test_an_id_that_was_used_since_it_was_found_unused_stays() -> None:
    driver = Driver()
    driver.init()
    driver.now_ms += 1_000_000
    assert driver.coordinator.unused(driver.now_ms) == [ExpireId(ID)]
    driver.init()

    assert driver.run(ExpireId(ID)) == TransactionDecision(TransactionReply())


def test_word_of_markers_of_an_earlier_transaction_completes_nothing() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer)

    assert driver.run(MarkersWritten(ID, *producer)) == TransactionDecision(TransactionReply())
    driver.end(producer)
    assert driver.run(MarkersWritten(ID, producer[0], producer[1] + 1)).record is None
    assert driver.state is TransactionState.PREPARE_COMMIT


def test_after_a_replay_prepared_transactions_are_the_ones_to_finish() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer)
    ongoing = list(driver.coordinator.prepared())
    decision = driver.end(producer, commit=False)

    assert ongoing == []
    assert list(driver.coordinator.prepared()) == [decision.outcome]


def test_a_producer_may_write_only_to_partitions_of_its_ongoing_transaction() -> None:
    driver = Driver()
    old = driver.init()
    producer = driver.init()

    def fault(who: tuple[int, int], where: tuple[str, int] = ("logs", 0)) -> ErrorCode:
        return driver.coordinator.write_fault(ID, *who, where)

    before = fault(producer)
    driver.add(producer)
    during = [fault(producer), fault(producer, ("other", 0)), fault(old), fault((999, 0))]
    driver.end(producer)
    ending = fault(producer)
    driver.written()

    assert before is ErrorCode.TRANSACTION_ABORTABLE
    assert during == [
        ErrorCode.NONE,
        ErrorCode.TRANSACTION_ABORTABLE,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    ]
    assert ending is ErrorCode.CONCURRENT_TRANSACTIONS
    assert fault(producer) is ErrorCode.TRANSACTION_ABORTABLE
