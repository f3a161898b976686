"""When a rebalance begins, whom it waits for, and when it ends."""

from sim.group_driver import Driver, Settings, heartbeat, join, leave, stable_group, sync

from millstream.core.coordinators.group_commands import ErrorReply, JoinReply, SyncReply
from millstream.core.errors import ErrorCode


def test_an_empty_group_waits_for_more_members_and_longer_as_long_as_they_come() -> None:
    driver = Driver(Settings(group_initial_rebalance_delay_ms=3_000))
    driver.do(join(1))
    driver.advance(2_999)
    driver.do(join(2))
    driver.advance(2_999)
    assert driver.answers == {}

    driver.advance(2)

    assert [driver.answers[waiter].generation for waiter in (1, 2)] == [1, 1]


def test_the_first_rebalance_is_never_put_off_beyond_the_rebalance_timeout() -> None:
    driver = Driver(Settings(group_initial_rebalance_delay_ms=3_000))
    for number in range(1, 8):
        driver.do(join(number, rebalance_timeout_ms=10_000))
        driver.advance(1_500)

    assert driver.answers[1].generation == 1
    assert driver.now_ms - 1_000_000 == 10_500


def test_a_new_member_makes_the_others_join_again_and_the_rebalance_ends_when_all_have() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)

    driver.do(join(3))
    assert driver.do(heartbeat(leader, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)
    driver.do(join(4, leader))
    assert driver.answers == {}
    driver.do(join(5, follower))

    assert {waiter: reply.generation for waiter, reply in driver.answers.items()} == {3: 2, 4: 2, 5: 2}
    assert [member.member_id for member in driver.answers[4].members] == [leader, follower, "c-3"]


def test_a_member_that_does_not_join_again_in_time_is_dropped_from_the_next_generation() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.do(join(3))
    driver.do(join(4, leader))

    for _ in range(12):
        driver.advance(5_000)
        driver.do(heartbeat(follower, 1))

    assert [member.member_id for member in driver.answers[4].members] == [leader, "c-3"]
    assert driver.do(heartbeat(follower, 1)) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_a_rebalance_does_not_wait_for_a_member_whose_session_ends() -> None:
    driver = Driver()
    leader, _ = stable_group(driver, 2)
    driver.do(join(3))
    driver.do(join(4, leader))

    driver.advance(10_000)

    assert {waiter: reply.generation for waiter, reply in driver.answers.items()} == {3: 2, 4: 2}


def test_a_rebalance_waits_for_a_member_that_was_given_an_id() -> None:
    driver = Driver()
    (leader,) = stable_group(driver, 1)
    driver.do(join(2, must_know_member_id=True))
    driver.do(join(3, leader))
    assert 3 not in driver.answers

    driver.do(join(4, "c-2", must_know_member_id=True))

    assert [driver.answers[waiter].generation for waiter in (3, 4)] == [2, 2]


def test_members_that_wait_are_not_dropped_for_sending_no_heartbeats() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.do(join(3, leader))
    for _ in range(5):
        driver.advance(9_000)
        driver.do(heartbeat(follower, 1))

    driver.do(join(4, follower))

    assert driver.answers[3].generation == 2


def test_a_leader_that_joins_again_wants_a_new_assignment_and_a_follower_only_its_own() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)

    assert driver.do(join(3, follower)) == JoinReply(ErrorCode.NONE, follower, 1, "consumer", "range", leader)
    assert driver.do(heartbeat(leader, 1)) == ErrorReply()

    assert driver.do(join(4, leader)) is None
    assert driver.do(heartbeat(follower, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_a_follower_with_changed_metadata_makes_a_rebalance() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)

    assert driver.do(join(3, follower, protocols=(("range", b"other topics"),))) is None

    assert driver.do(heartbeat(leader, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_a_member_that_missed_the_answer_to_its_join_is_told_again() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)

    assert [driver.do(join(3, "c-1")), driver.do(join(4, "c-2"))] == [driver.answers[1], driver.answers[2]]


def test_a_rebalance_that_overtakes_an_assignment_sends_those_who_wait_for_it_back_to_join() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)
    driver.do(sync(3, "c-2", 1))

    new = driver.decide(join(4))

    assert new.released == ((3, SyncReply(ErrorCode.REBALANCE_IN_PROGRESS)),)
    assert driver.do(sync(5, "c-1", 1)) == SyncReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_members_that_never_sync_make_way_after_the_rebalance_timeout() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)
    driver.do(sync(3, "c-1", 1))

    for _ in range(12):
        driver.advance(5_000)
        driver.do(heartbeat("c-1", 1))
        driver.do(heartbeat("c-2", 1))

    assert driver.do(heartbeat("c-2", 1)) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)
    assert driver.do(heartbeat("c-1", 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_a_leader_that_dies_before_it_assigns_is_replaced() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)
    driver.do(sync(3, "c-2", 1))

    driver.advance(10_000)

    assert driver.answers[3] == SyncReply(ErrorCode.REBALANCE_IN_PROGRESS)
    driver.do(join(4, "c-2"))
    assert (driver.answers[4].leader, driver.answers[4].generation) == ("c-2", 2)


def test_members_vote_for_the_protocol_that_all_support_and_most_want() -> None:
    driver = Driver()
    driver.do(join(1, protocols=(("sticky", b"1s"), ("range", b"1r"), ("mine", b""))))
    driver.do(join(2, protocols=(("range", b"2r"), ("sticky", b"2s"))))
    driver.do(join(3, protocols=(("range", b"3r"), ("sticky", b"3s"))))
    driver.advance(0)

    assert driver.answers[1].protocol == "range"
    assert [member.metadata for member in driver.answers[1].members] == [b"1r", b"2r", b"3r"]


def test_a_group_that_all_have_left_is_empty_and_takes_any_protocol() -> None:
    driver = Driver()
    driver.do(leave(*stable_group(driver, 2)))

    driver.do(join(3, protocol_type="connect", protocols=(("default", b""),)))
    driver.advance(0)

    assert driver.answers[3].generation == 3
    assert driver.answers[3].protocol_type == "connect"


def test_a_sync_that_waits_is_answered_when_its_member_is_taken_out() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)
    driver.do(sync(3, "c-2", 1))

    driver.do(leave("c-2"))

    assert driver.answers[3] == SyncReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_a_member_that_names_a_protocol_twice_counts_once() -> None:
    driver = Driver(Settings(group_initial_rebalance_delay_ms=0))

    driver.do(join(1, protocols=(("range", b"a"), ("range", b"b"))))
    driver.advance(1)

    assert (driver.answers[1].protocol, driver.answers[1].generation) == ("range", 1)
