"""Who may commit offsets, and when."""

import pytest
from sim.group_driver import Driver, commit, heartbeat, join, leave, stable_group, sync

from millstream.core.config import LONG_MAX
from millstream.core.coordinators.group_commands import DeleteGroup, DeleteOffsets, ErrorReply, OffsetEntry, PartsReply
from millstream.core.coordinators.group_records import GroupRemoved, OffsetRemoved, OffsetStored
from millstream.core.errors import ErrorCode

ONE_PART = PartsReply(parts=(ErrorCode.NONE,))
NOW_MS = 1_000_000


def subscription(*topics: str) -> bytes:
    """What a consumer of these topics puts into its JoinGroup."""
    names = b"".join(len(topic).to_bytes(2, "big") + topic.encode() for topic in topics)
    return b"\0\x01" + len(topics).to_bytes(4, "big") + names + b"\xff\xff\xff\xff"


def test_a_member_of_the_generation_commits() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)

    decision = driver.decide(commit(42, member, 1))

    assert decision.reply == ONE_PART
    assert decision.records == (OffsetStored("g", "logs", 0, 42, committed_ms=NOW_MS),)
    assert driver.committed() == {("logs", 0): 42}


def test_an_offset_that_is_to_be_kept_for_ever_is() -> None:
    """The time of its end had more than 64 bits, and could not be written."""
    driver = Driver()

    decision = driver.decide(commit(42, retention_ms=LONG_MAX))

    assert decision.records == (OffsetStored("g", "logs", 0, 42, committed_ms=NOW_MS, expires_ms=LONG_MAX),)
    assert driver.committed() == {("logs", 0): 42}


def test_a_member_left_over_from_an_old_generation_cannot_commit() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.do(leave(follower))
    driver.do(join(3, leader))
    driver.do(sync(4, leader, 2))

    assert driver.do(commit(42, follower, 1)) == PartsReply(ErrorCode.UNKNOWN_MEMBER_ID)
    assert driver.do(commit(42, leader, 1)) == PartsReply(ErrorCode.ILLEGAL_GENERATION)
    assert driver.committed() == {}


def test_a_member_may_commit_while_others_join_and_not_while_it_has_yet_to_sync() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)
    driver.do(join(2))

    assert driver.do(commit(1, member, 1)) == ONE_PART
    driver.do(join(3, member))
    assert driver.do(commit(2, member, 2)) == PartsReply(ErrorCode.REBALANCE_IN_PROGRESS)
    assert driver.committed() == {("logs", 0): 1}


def test_a_consumer_outside_the_protocol_commits_to_a_group_without_members() -> None:
    driver = Driver()

    assert driver.do(commit(1)) == ONE_PART
    assert driver.do(commit(2)) == ONE_PART

    view = driver.coordinator.view("g")
    assert view is not None
    assert (view.state, view.protocol_type, view.members) == ("Empty", "", ())
    assert driver.committed() == {("logs", 0): 2}


def test_a_consumer_outside_the_protocol_cannot_commit_to_a_group_with_members() -> None:
    driver = Driver()
    stable_group(driver, 1)

    assert driver.do(commit(1)) == PartsReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_an_admin_sets_offsets_once_all_members_have_left() -> None:
    driver = Driver()
    driver.do(leave(*stable_group(driver, 2)))

    assert driver.do(commit(0)) == ONE_PART
    assert driver.do(commit(9, "c-1", 1)) == PartsReply(ErrorCode.UNKNOWN_MEMBER_ID)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, ErrorCode.GROUP_ID_NOT_FOUND),
        ({"knows_group_not_found": False}, ErrorCode.ILLEGAL_GENERATION),
        ({"producer_id": 7}, ErrorCode.ILLEGAL_GENERATION),
    ],
)
def test_a_member_of_an_unknown_group_cannot_commit(changes: dict[str, object], error: ErrorCode) -> None:
    driver = Driver()

    assert driver.do(commit(1, "c-1", 1, **changes)) == PartsReply(error)
    assert driver.coordinator.group_ids() == ()


def test_a_commit_keeps_its_member_in_the_group() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)
    for offset in range(5):
        driver.advance(9_000)
        driver.do(commit(offset, member, 1))

    assert driver.do(heartbeat(member, 1)) == ErrorReply()


def test_a_text_too_long_refuses_its_own_partition_only() -> None:
    driver = Driver()
    entries = (OffsetEntry("logs", 0, 1, metadata="x" * 4_097), OffsetEntry("logs", 1, 2, 3, "x" * 4_096, b"i" * 16))

    decision = driver.decide(commit(0, entries=entries))

    assert decision.reply == PartsReply(parts=(ErrorCode.OFFSET_METADATA_TOO_LARGE, ErrorCode.NONE))
    assert decision.records == (OffsetStored("g", "logs", 1, 2, 3, "x" * 4_096, NOW_MS, -1, b"i" * 16),)


def test_a_retention_asked_for_by_an_old_client_is_stored_with_the_offset() -> None:
    assert Driver().decide(commit(1, retention_ms=500)).records == (
        OffsetStored("g", "logs", 0, 1, committed_ms=NOW_MS, expires_ms=NOW_MS + 500),
    )


def test_an_empty_group_is_deleted_with_its_offsets_and_one_with_members_is_not() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)
    driver.do(commit(42, member, 1))
    assert driver.do(DeleteGroup("g")) == ErrorReply(ErrorCode.NON_EMPTY_GROUP)
    driver.do(leave(member))

    decision = driver.decide(DeleteGroup("g"))

    assert decision.records == (OffsetRemoved("g", "logs", 0), GroupRemoved("g"))
    assert driver.do(DeleteGroup("g")) == ErrorReply(ErrorCode.GROUP_ID_NOT_FOUND)
    driver.restart()
    assert (driver.coordinator.group_ids(), driver.committed()) == ((), {})


def test_offsets_of_topics_that_consumers_read_are_not_deleted_and_others_are() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1, lambda _: {"protocols": (("range", subscription("logs", "metrics")),)})
    driver.do(commit(0, member, 1, entries=(OffsetEntry("logs", 0, 1), OffsetEntry("old", 3, 2))))

    decision = driver.decide(DeleteOffsets("g", (("logs", 0), ("old", 3), ("old", 9))))

    assert decision.reply == PartsReply(parts=(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE, ErrorCode.NONE))
    assert decision.records == (OffsetRemoved("g", "old", 3),)


def test_offsets_of_a_group_whose_metadata_cannot_be_read_are_all_taken_as_in_use() -> None:
    driver = Driver()
    stable_group(driver, 1)

    reply = driver.do(DeleteOffsets("g", (("logs", 0),)))

    assert reply == PartsReply(parts=(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,))


def test_offsets_are_deleted_from_empty_groups_and_not_from_other_protocols_groups_with_members() -> None:
    driver = Driver()
    assert driver.do(DeleteOffsets("g", ())) == PartsReply(ErrorCode.GROUP_ID_NOT_FOUND)
    (member,) = stable_group(driver, 1, lambda _: {"protocol_type": "connect"})
    assert driver.do(DeleteOffsets("g", (("logs", 0),))) == PartsReply(ErrorCode.NON_EMPTY_GROUP)
    driver.do(commit(1, member, 1))
    driver.do(leave(member))

    assert driver.do(DeleteOffsets("g", (("logs", 0),))) == ONE_PART
    assert driver.committed() == {}
