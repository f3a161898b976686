"""What a coordinator knows after a restart, and how admins see groups."""

from sim.group_driver import Driver, Settings, commit, heartbeat, join, leave, stable_group, sync

from millstream.core.coordinators.group_commands import ErrorReply, GroupView, JoinReply, MemberView
from millstream.core.errors import ErrorCode


def test_a_restart_keeps_members_generation_assignments_and_offsets() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.do(commit(42, leader, 1))
    before = driver.coordinator.view("g")

    driver.restart()

    assert driver.coordinator.view("g") == before
    assert driver.committed() == {("logs", 0): 42}
    assert driver.do(sync(9, follower, 1)).assignment == b"2"
    assert driver.do(heartbeat(leader, 1)) == ErrorReply()


def test_after_a_restart_each_member_has_one_session_to_be_heard_of() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.restart()

    driver.advance(9_999)
    assert driver.do(heartbeat(leader, 1)) == ErrorReply()
    driver.advance(1)

    assert driver.do(heartbeat(follower, 1)) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_after_a_restart_with_a_smaller_limit_a_group_forms_anew_of_those_who_come_first() -> None:
    driver = Driver()
    first, second, third = stable_group(driver, 3)
    driver.settings = Settings(group_max_size=2)

    driver.restart()

    assert driver.do(heartbeat(first, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)
    driver.do(join(11, third))
    driver.do(join(12, first))
    assert driver.do(join(13, second)) == JoinReply(ErrorCode.GROUP_MAX_SIZE_REACHED)
    assert driver.answers[11].generation == driver.answers[12].generation == 2
    assert [member.member_id for member in driver.answers[12].members] == [first, third]


def test_a_generation_that_was_never_assigned_is_forgotten_by_a_restart() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.do(leave(follower))
    driver.do(join(3, leader))
    assert driver.answers[3].generation == 2

    driver.restart()

    assert driver.do(sync(4, leader, 2)).error is ErrorCode.ILLEGAL_GENERATION
    assert driver.do(heartbeat(leader, 1)) == ErrorReply()


def test_a_restart_keeps_the_metadata_of_the_selected_protocol_only_and_a_changed_one_makes_a_rebalance() -> None:
    driver = Driver()
    leader, follower = stable_group(driver, 2)
    driver.restart()

    assert driver.do(join(3, follower)).generation == 1
    assert driver.do(join(4, follower, protocols=(("range", b"likes range"), ("sticky", b"")))) is None
    assert driver.do(heartbeat(leader, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)


def test_admins_see_metadata_and_assignments_once_they_are_settled() -> None:
    driver = Driver()
    driver.do(join(1))
    unsettled = MemberView("c-1", None, "c", "/10.0.0.1", b"", b"")
    assert driver.coordinator.view("g") == GroupView("g", "PreparingRebalance", "consumer", "", 0, (unsettled,))
    driver.advance(0)
    assert driver.coordinator.view("g") == GroupView("g", "CompletingRebalance", "consumer", "", 1, (unsettled,))
    driver.do(sync(2, "c-1", 1, assignments=(("c-1", b"all"),)))

    member = MemberView("c-1", None, "c", "/10.0.0.1", b"likes range", b"all")
    assert driver.coordinator.view("g") == GroupView("g", "Stable", "consumer", "range", 1, (member,))
    assert list(driver.coordinator.views()) == [driver.coordinator.view("g")]
    assert driver.coordinator.view("other") is None
