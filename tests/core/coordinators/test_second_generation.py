"""Transactions of the second protocol (KIP-890): each end brings the next epoch, and a repeated end is known by it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from core.coordinators.transaction_driver import ID, LOGS, Driver

from millstream.core.coordinators.transaction_codec import decode_record, encode_record
from millstream.core.coordinators.transaction_commands import (
    AbortTimedOut,
    AddPartitions,
    EndTransaction,
    InitProducerId,
    Outcome,
    TransactionReply,
)
from millstream.core.coordinators.transaction_records import (
    LAST_EPOCH,
    SECOND_PROTOCOL,
    TransactionState,
)
from millstream.core.errors import ErrorCode
from millstream.core.wire.batches import NO_PRODUCER_ID

SECOND = SECOND_PROTOCOL


def reply(producer: tuple[int, int]) -> TransactionReply:
    return TransactionReply(ErrorCode.NONE, *producer)


def refused(code: ErrorCode) -> TransactionReply:
    return TransactionReply(code)


def at_epoch(driver: Driver, epoch: int) -> tuple[int, int]:
    """The producer of an idle id with this epoch."""
    driver.init()
    driver.coordinator.apply(replace(driver.stored, producer_epoch=epoch))
    return driver.stored.producer_id, epoch


def restarted(driver: Driver) -> None:
    """The coordinator reads its state anew, as bytes."""
    record = decode_record(*encode_record(driver.stored))
    assert record is not None
    driver.coordinator.apply(record)


def test_an_end_gives_the_next_epoch_and_fences_the_one_before_with_the_marker() -> None:
    driver = Driver()
    driver.init()
    driver.add((100, 0), protocol=SECOND)

    decision = driver.end_and_go_on((100, 0))
    driver.written()

    assert decision.reply == reply((100, 1))
    assert decision.outcome == Outcome(ID, 100, 1, True, (("logs", 0), ("logs", 1)))
    assert driver.state is TransactionState.COMPLETE_COMMIT
    assert driver.coordinator.write_fault(ID, 100, 0, ("logs", 0)) is ErrorCode.PRODUCER_FENCED
    assert driver.add((100, 0)) is ErrorCode.PRODUCER_FENCED
    assert driver.add((100, 1)) is ErrorCode.NONE


# The table of TransactionCoordinator.endTransaction in Kafka 4.3.1: state, epoch asked with, what for, answer.
@pytest.mark.parametrize(
    ("state", "commit", "old", "new"),
    [
        ("empty", False, ErrorCode.PRODUCER_FENCED, "next"),
        ("empty", True, ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_TXN_STATE),
        ("aborted", False, "same", "next"),
        ("aborted", True, ErrorCode.INVALID_TXN_STATE, ErrorCode.INVALID_TXN_STATE),
        ("committed", False, ErrorCode.INVALID_TXN_STATE, "next"),
        ("committed", True, "same", ErrorCode.INVALID_TXN_STATE),
    ],
)
@pytest.mark.parametrize("restart", [False, True])
def test_ends_without_a_transaction(
    state: str, commit: bool, old: ErrorCode | str, new: ErrorCode | str, restart: bool
) -> None:
    driver = Driver()
    producer = driver.init()
    if state != "empty":
        driver.add(producer, protocol=SECOND)
        driver.end_and_go_on(producer, commit=state == "committed")
        driver.written()
    else:
        driver.init(producer)
    if restart:
        restarted(driver)

    wanted = {"same": reply((100, 1)), "next": reply((100, 2))}
    with_the_old_epoch = driver.end_and_go_on((100, 0), commit=commit)
    with_the_new_epoch = driver.end_and_go_on((100, 1), commit=commit)

    assert with_the_old_epoch.reply == (wanted[old] if isinstance(old, str) else refused(old))
    assert with_the_old_epoch.record is None
    assert with_the_new_epoch.reply == (wanted[new] if isinstance(new, str) else refused(new))
    if new == "next":
        assert with_the_new_epoch.outcome == Outcome(ID, 100, 2, False, ())


def test_an_end_that_is_on_its_way_is_asked_for_again_until_it_is_complete() -> None:
    driver = Driver()
    producer = driver.init()
    driver.add(producer, protocol=SECOND)
    driver.end_and_go_on(producer)

    answers = [
        driver.end_and_go_on(producer).reply.code,
        driver.end_and_go_on(producer, commit=False).reply.code,
        driver.end_and_go_on((100, 1)).reply.code,
        driver.add((100, 1)),
    ]

    assert answers == [
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.CONCURRENT_TRANSACTIONS,
    ]
    driver.written()
    assert driver.end_and_go_on(producer).reply == reply((100, 1))


@pytest.mark.parametrize("restart_at", ["nowhere", "prepared", "complete"])
def test_when_the_epochs_have_run_out_the_producer_goes_on_with_a_new_id(restart_at: str) -> None:
    driver = Driver()
    old = at_epoch(driver, LAST_EPOCH - 1)
    driver.add(old, protocol=SECOND)

    decision = driver.end_and_go_on(old)
    if restart_at == "prepared":
        restarted(driver)
    on_its_way = driver.end_and_go_on(old).reply.code
    driver.written()
    if restart_at == "complete":
        restarted(driver)

    assert decision.reply == reply((101, 0))
    assert decision.outcome == Outcome(ID, 100, LAST_EPOCH, True, (("logs", 0), ("logs", 1)))
    assert on_its_way is ErrorCode.CONCURRENT_TRANSACTIONS
    assert (driver.stored.producer_id, driver.stored.producer_epoch) == (101, 0)
    assert (driver.stored.previous_producer_id, driver.stored.next_producer_id) == (100, -1)
    assert driver.end_and_go_on(old).reply == reply((101, 0))
    assert driver.end_and_go_on(old, commit=False).reply.code is ErrorCode.INVALID_TXN_STATE
    assert driver.end_and_go_on((100, LAST_EPOCH)).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.add((101, 0), protocol=SECOND) is ErrorCode.NONE
    assert driver.end_and_go_on(old).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def timed_out(driver: Driver, producer: tuple[int, int]) -> None:
    driver.add(producer, protocol=SECOND)
    driver.now_ms += 1_000_000
    driver.run(AbortTimedOut(ID))


def test_a_fence_that_takes_the_last_epoch_gives_the_id_to_a_new_producer_whom_a_late_abort_is_told_of() -> None:
    """As a Kafka 4.3.1 answered whose log had been given this epoch."""
    driver = Driver()
    old, new, last = at_epoch(driver, LAST_EPOCH - 1), (101, 0), (100, LAST_EPOCH)
    driver.add(old, protocol=SECOND)
    driver.now_ms += 1_000_000

    decision = driver.run(AbortTimedOut(ID))
    on_its_way = driver.end_and_go_on(old, commit=False).reply.code
    driver.written()

    assert decision.outcome == Outcome(ID, *last, False, (("logs", 0), ("logs", 1)))
    assert on_its_way is ErrorCode.CONCURRENT_TRANSACTIONS
    assert (driver.stored.producer_id, driver.stored.producer_epoch) == new
    assert driver.end_and_go_on(old).reply.code is ErrorCode.INVALID_TXN_STATE
    assert driver.end_and_go_on(old, commit=False).reply == reply(new)
    assert driver.end_and_go_on(last, commit=False).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.end(old, commit=False).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.add(last) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.coordinator.write_fault(ID, *last, ("logs", 0)) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.init(old) == new
    assert driver.end_and_go_on(old, commit=False).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.init() == (101, 1)


def test_a_producer_that_takes_over_at_the_last_epoch_follows_the_new_id() -> None:
    """As on Kafka 4.3.1: the fence has taken epoch 0 of it."""
    driver = Driver()
    zombie = at_epoch(driver, LAST_EPOCH - 1)
    driver.add(zombie, protocol=SECOND)

    assert driver.run(InitProducerId(ID, 30_000)).reply.code is ErrorCode.CONCURRENT_TRANSACTIONS
    driver.written()

    assert driver.init() == (101, 1)
    assert driver.end_and_go_on(zombie, commit=False).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert driver.run(InitProducerId(ID, 30_000, zombie)).reply.code is ErrorCode.PRODUCER_FENCED


def test_nobody_is_told_the_last_epoch_that_the_log_of_an_older_broker_holds() -> None:
    driver = Driver()
    old = at_epoch(driver, LAST_EPOCH - 1)
    timed_out(driver, old)
    driver.coordinator.apply(
        replace(driver.stored, state=TransactionState.COMPLETE_ABORT, next_producer_id=NO_PRODUCER_ID)
    )
    last = (100, LAST_EPOCH)

    answers = [
        driver.end_and_go_on(old, commit=False).reply.code,
        driver.end_and_go_on(last, commit=False).reply.code,
        driver.end(last, commit=False).reply.code,
        driver.add(last),
        driver.coordinator.write_fault(ID, *last, ("logs", 0)),
    ]

    assert driver.stored.producer_epoch == LAST_EPOCH
    assert answers == [ErrorCode.PRODUCER_FENCED] * 5
    assert driver.init(old) == (102, 0)


def test_a_producer_whose_transaction_was_timed_out_goes_on_after_its_abort() -> None:
    """As on Kafka 4.3.1: the abort is taken for a repeated one, the commit is refused."""
    driver = Driver()
    producer = driver.init()
    driver.add(producer, protocol=SECOND)
    driver.now_ms += 1_000_000
    driver.run(AbortTimedOut(ID))
    driver.written()

    assert driver.end_and_go_on(producer).reply.code is ErrorCode.INVALID_TXN_STATE
    assert driver.end_and_go_on(producer, commit=False).reply == reply((100, 1))


def test_a_producer_that_is_replaced_ends_nothing_of_its_successor() -> None:
    driver = Driver()
    zombie = driver.init()
    driver.add(zombie, protocol=SECOND)
    driver.run(InitProducerId(ID, 30_000))
    driver.written()
    owner = driver.init()
    driver.add(owner, protocol=SECOND)

    for commit in (True, False):
        assert driver.end_and_go_on(zombie, commit=commit).reply.code is ErrorCode.PRODUCER_FENCED
        assert driver.end((100, 1), commit=commit).reply.code is ErrorCode.PRODUCER_FENCED
    assert driver.state is TransactionState.ONGOING


def test_clients_of_both_protocols_take_turns() -> None:
    driver = Driver()
    first = driver.init()
    driver.add(first)
    driver.end(first)
    driver.written()
    assert driver.end_and_go_on(first).reply.code is ErrorCode.INVALID_TXN_STATE
    driver.add(first, protocol=SECOND)
    second = driver.end_and_go_on(first).reply
    driver.written()
    assert (second.producer_id, second.producer_epoch) == (100, 1)
    assert driver.end(first).reply.code is ErrorCode.PRODUCER_FENCED
    assert driver.end((100, 1)).reply.code is ErrorCode.NONE
    assert driver.end((100, 1), commit=False).reply.code is ErrorCode.INVALID_TXN_STATE


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("restart", [False, True])
def test_a_zombie_is_not_told_the_epoch_of_a_successor_of_the_first_protocol(commit: bool, restart: bool) -> None:
    driver = Driver()
    zombie = driver.init()
    successor = driver.init()
    driver.add(successor)
    driver.end(successor, commit=commit)
    driver.written()
    if restart:
        restarted(driver)

    assert driver.end_and_go_on(zombie, commit=commit).reply.code is ErrorCode.PRODUCER_FENCED


@pytest.mark.parametrize(
    ("steps", "version"),
    [
        ([], 0),
        ([lambda driver: driver.add((100, 0))], 0),
        ([lambda driver: driver.add((100, 0), protocol=SECOND)], 2),
        ([lambda driver: driver.add((100, 0), protocol=SECOND), lambda driver: driver.end_and_go_on((100, 0))], 2),
        ([lambda driver: driver.add((100, 0)), lambda driver: driver.end((100, 0))], 0),
        ([lambda driver: driver.add((100, 0)), lambda driver: driver.run(InitProducerId(ID, 30_000))], 2),
    ],
)
def test_the_log_says_by_which_protocol_the_last_step_was_made(
    steps: list[Callable[[Driver], object]], version: int
) -> None:
    """As the records of Kafka 4.3.1 do, in which the producer id of the state before stands, too."""
    driver = Driver()
    driver.init()
    for step in steps:
        step(driver)

    assert (driver.stored.client_version, driver.stored.previous_producer_id) == (version, 100)


@pytest.mark.parametrize(
    "command",
    [EndTransaction(ID, 5, 0, True, SECOND), AddPartitions(ID, 5, 0, LOGS, SECOND)],
)
def test_an_unknown_id_has_no_producers(command: EndTransaction | AddPartitions) -> None:
    assert Driver().run(command).reply.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
