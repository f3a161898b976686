"""Offsets committed in a transaction count when it commits, and only then."""

import pytest
from sim.group_driver import Driver, commit, join, stable_group

from millstream.core.coordinators.group_commands import DeleteGroup, DeleteOffsets, ExpireOffsets, PartsReply
from millstream.core.errors import ErrorCode

LOGS = ("logs", 0)
ONE_PART = PartsReply(parts=(ErrorCode.NONE,))


@pytest.mark.parametrize("restart", [False, True], ids=["", "after a restart"])
def test_pending_offsets_count_after_the_commit_and_vanish_with_an_abort(restart: bool) -> None:
    driver = Driver()
    driver.do(commit(1))
    driver.do(commit(2, producer_id=7))
    if restart:
        driver.restart()
    assert (driver.committed(), driver.coordinator.unstable("g", LOGS)) == ({LOGS: 1}, True)
    assert not driver.coordinator.unstable("g", ("logs", 1))

    driver.end_transaction(7, commit=True)
    assert (driver.committed(), driver.coordinator.unstable("g", LOGS)) == ({LOGS: 2}, False)

    driver.do(commit(3, producer_id=7))
    driver.end_transaction(7, commit=False)
    assert (driver.committed(), driver.coordinator.unstable("g", LOGS)) == ({LOGS: 2}, False)
    driver.restart()
    assert driver.committed() == {LOGS: 2}


def test_the_later_of_two_commits_counts_whichever_way_each_was_made() -> None:
    driver = Driver()
    driver.do(commit(10, producer_id=7))
    driver.do(commit(20))
    driver.end_transaction(7, commit=True)

    assert driver.committed() == {LOGS: 20}


def test_an_offset_stays_unstable_until_the_last_transaction_with_it_has_ended() -> None:
    driver = Driver()
    driver.do(commit(10, producer_id=7))
    driver.do(commit(20, producer_id=8))

    driver.end_transaction(8, commit=True)
    assert (driver.committed(), driver.coordinator.unstable("g", LOGS)) == ({LOGS: 20}, True)
    driver.end_transaction(7, commit=True)
    assert (driver.committed(), driver.coordinator.unstable("g", LOGS)) == ({LOGS: 20}, False)


def test_a_group_that_only_an_aborted_transaction_knew_is_forgotten_when_it_is_looked_at_for_expiry() -> None:
    driver = Driver()
    driver.do(commit(10, producer_id=7))
    assert (driver.decide(ExpireOffsets("g")).records, driver.coordinator.group_ids()) == ((), ("g",))

    driver.end_transaction(7, commit=False)

    assert (driver.decide(ExpireOffsets("g")).records, driver.coordinator.group_ids()) == ((), ())


def test_a_marker_of_a_producer_without_offsets_here_changes_nothing() -> None:
    driver = Driver()
    driver.do(commit(10))

    driver.end_transaction(99, commit=True)

    assert driver.committed() == {LOGS: 10}


def test_a_transactional_commit_is_fenced_by_the_group_as_any_other() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)

    assert driver.do(commit(1, member, 1, producer_id=7)) == ONE_PART
    assert driver.do(commit(1, member, 0, producer_id=7)) == PartsReply(ErrorCode.ILLEGAL_GENERATION)
    assert driver.do(commit(1, "stranger", 1, producer_id=7)) == PartsReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_a_transactional_commit_without_group_metadata_is_taken_from_old_clients() -> None:
    driver = Driver()
    stable_group(driver, 1)

    assert driver.do(commit(1, producer_id=7)) == ONE_PART


def test_a_transactional_commit_is_taken_while_the_group_waits_for_its_assignment() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.advance(0)

    assert driver.do(commit(1, "c-1", 1, producer_id=7)) == ONE_PART


@pytest.mark.parametrize("command", [DeleteGroup("g"), DeleteOffsets("g", (LOGS,))], ids=["group", "offset"])
def test_deleting_takes_pending_offsets_along(command: DeleteGroup | DeleteOffsets) -> None:
    driver = Driver()
    driver.do(commit(1, producer_id=7))

    driver.do(command)
    driver.end_transaction(7, commit=True)

    driver.do(ExpireOffsets("g"))
    assert (driver.committed(), driver.coordinator.group_ids()) == ({}, ())
