"""Members with a group.instance.id keep their place when their process is replaced (KIP-345)."""

from typing import Any

import pytest
from sim.group_driver import Driver, Settings, commit, heartbeat, join, stable_group, sync

from millstream.core.coordinators.group_commands import (
    ErrorReply,
    JoinedMember,
    JoinReply,
    LeaveGroup,
    Leaver,
    PartsReply,
    SyncReply,
    TimerFired,
    TimerKey,
    TimerKind,
)
from millstream.core.errors import ErrorCode


def instance(number: int) -> dict[str, Any]:
    return {"instance_id": f"i{number}"}


def test_a_static_member_is_let_in_at_once_under_an_id_made_from_its_instance() -> None:
    driver = Driver()
    driver.do(join(1, instance_id="i", must_know_member_id=True))
    driver.advance(0)

    assert driver.answers[1].member_id == "i-1"


def test_a_static_follower_that_comes_back_keeps_its_assignment_without_a_rebalance() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2, instance)

    reply = driver.do(join(9, instance_id="i2"))

    assert reply == JoinReply(ErrorCode.NONE, "i2-9", 1, "consumer", "range", leader)
    assert driver.do(sync(10, "i2-9", 1, instance_id="i2")) == SyncReply(ErrorCode.NONE, "consumer", "range", b"2")
    assert driver.do(heartbeat(leader, 1)) == ErrorReply()
    driver.restart()
    assert driver.do(heartbeat("i2-9", 1, instance_id="i2")) == ErrorReply()
    assert driver.do(heartbeat(follower, 1)) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)


@pytest.mark.parametrize("rebalance_timeout_ms", [-60_000, 0, 1])
def test_a_group_that_waits_for_static_members_without_patience_does_not_look_for_them_again_and_again(
    rebalance_timeout_ms: int,
) -> None:
    """With a timeout of 0 or less its timer was due at once each time that it fired: the broker did nothing else."""
    driver = Driver()
    patience_ms = {1: rebalance_timeout_ms, 2: rebalance_timeout_ms, 3: 60_000}
    stable_group(driver, 3, lambda number: {**instance(number), "rebalance_timeout_ms": patience_ms[number]})

    left = driver.decide(LeaveGroup("g", (Leaver("", "i3"),)))
    fired = driver.decide(TimerFired(TimerKey(TimerKind.JOIN, "g")))

    join_timer = TimerKey(TimerKind.JOIN, "g")
    assert dict(left.timers)[join_timer] == max(rebalance_timeout_ms, 0)
    assert dict(fired.timers)[join_timer] == Settings().group_min_session_timeout_ms


def test_a_static_leader_that_comes_back_is_told_to_skip_the_assignment() -> None:
    driver = Driver()
    _, follower = stable_group(driver, 2, instance)

    reply = driver.do(join(9, instance_id="i1"))

    members = (JoinedMember("i1-9", "i1", b"likes range"), JoinedMember(follower, "i2", b"likes range"))
    assert reply == JoinReply(ErrorCode.NONE, "i1-9", 1, "consumer", "range", "i1-9", True, members)


def test_an_old_static_leader_is_not_told_that_it_leads_lest_it_assigns_anew() -> None:
    driver = Driver()
    leader, _ = stable_group(driver, 2, instance)

    reply = driver.do(join(9, instance_id="i1", can_skip_assignment=False))

    assert reply == JoinReply(ErrorCode.NONE, "i1-9", 1, "consumer", "range", leader)


def test_the_process_that_was_replaced_is_fenced_everywhere() -> None:
    driver = Driver()
    _, old = stable_group(driver, 2, instance)
    driver.do(join(9, instance_id="i2"))

    fenced = ErrorCode.FENCED_INSTANCE_ID
    assert driver.do(heartbeat(old, 1, instance_id="i2")) == ErrorReply(fenced)
    assert driver.do(sync(10, old, 1, instance_id="i2")) == SyncReply(fenced)
    assert driver.do(join(11, old, instance_id="i2")) == JoinReply(fenced, old)
    assert driver.do(commit(5, old, 1, instance_id="i2")) == PartsReply(fenced)
    assert driver.do(commit(5, old, 1, instance_id="i2", producer_id=7)) == PartsReply(fenced)
    assert driver.do(LeaveGroup("g", (Leaver(old, "i2"),))) == PartsReply(parts=(fenced,))


def test_an_instance_id_that_nobody_has_is_unknown() -> None:
    driver = Driver()
    member, _ = stable_group(driver, 2, instance)

    assert driver.do(heartbeat(member, 1, instance_id="i3")) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_a_replacement_during_a_rebalance_takes_over_the_place_of_the_one_that_waits() -> None:
    driver = Driver()
    leader, old = stable_group(driver, 2, instance)
    driver.do(join(8, leader, instance_id="i1"))
    driver.do(join(9, old, instance_id="i2", protocols=(("range", b"other"),)))
    driver.answers.clear()
    driver.do(sync(10, leader, 2, instance_id="i1"))
    driver.do(join(11, leader, instance_id="i1"))

    driver.do(join(12, instance_id="i1"))

    assert driver.answers[11] == JoinReply(ErrorCode.FENCED_INSTANCE_ID, leader)


def test_a_new_member_that_was_replaced_waits_for_slow_members_longer_than_its_session() -> None:
    driver = Driver()
    (slow,) = stable_group(driver, 1, lambda _: {"session_timeout_ms": 90_000})
    driver.do(join(2, instance_id="i2"))
    driver.do(join(3, instance_id="i2"))

    driver.advance(30_000)

    assert driver.answers == {2: JoinReply(ErrorCode.FENCED_INSTANCE_ID, "i2-2")}
    driver.do(join(4, slow))
    assert [member.member_id for member in driver.answers[4].members] == [slow, "i2-3"]


def test_a_replacement_before_the_assignment_starts_the_rebalance_again() -> None:
    driver = Driver()
    driver.do(join(1, instance_id="i1"))
    driver.do(join(2, instance_id="i2"))
    driver.advance(0)
    driver.do(sync(3, "i2-2", 1, instance_id="i2"))

    driver.do(join(4, instance_id="i2"))

    assert driver.answers[3] == SyncReply(ErrorCode.FENCED_INSTANCE_ID)
    assert driver.do(sync(5, "i1-1", 1)) == SyncReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_a_replacement_that_changes_the_protocol_of_the_group_starts_a_rebalance() -> None:
    driver = Driver()
    both = (("range", b"r"), ("sticky", b"s"))
    leader, _ = stable_group(driver, 2, lambda number: {"instance_id": f"i{number}", "protocols": both})

    assert driver.do(join(9, instance_id="i2", protocols=(("sticky", b"s"),))) is None

    assert driver.do(heartbeat(leader, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_a_static_member_that_does_not_join_again_keeps_its_place_until_its_session_ends() -> None:
    driver = Driver()
    leader, follower = stable_group(
        driver, 2, lambda number: {"instance_id": f"i{number}", "session_timeout_ms": 90_000}
    )
    driver.do(join(3, leader, instance_id="i1", session_timeout_ms=90_000))

    driver.advance(60_000)

    assert [member.member_id for member in driver.answers[3].members] == [leader, follower]


def test_an_admin_takes_out_a_static_member_by_its_instance_id() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2, instance)

    reply = driver.do(LeaveGroup("g", (Leaver("", "i2"), Leaver("", "i3"), Leaver(""))))

    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert reply == PartsReply(parts=(ErrorCode.NONE, unknown, unknown))
    assert driver.do(heartbeat(follower, 1)) == ErrorReply(unknown)
    assert driver.do(heartbeat(leader, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)
