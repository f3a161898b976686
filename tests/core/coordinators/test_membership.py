"""How members join, sync, stay in and leave a group."""

import pytest
from sim.group_driver import Driver, Settings, heartbeat, join, leave, stable_group, sync

from millstream.core.coordinators.group_commands import (
    Decision,
    ErrorReply,
    JoinedMember,
    JoinReply,
    PartsReply,
    SyncReply,
    Timer,
    TimerKey,
    TimerKind,
)
from millstream.core.coordinators.group_records import GroupStored, StoredMember
from millstream.core.errors import ErrorCode


def test_a_new_dynamic_member_is_first_given_an_id_and_then_joins_with_it() -> None:
    driver = Driver()

    first = driver.decide(join(1, must_know_member_id=True))
    driver.decide(join(2, "c-1", must_know_member_id=True))
    driver.advance(0)

    session = Timer(TimerKey(TimerKind.SESSION, "g", "c-1"), 10_000)
    assert first == Decision(reply=JoinReply(ErrorCode.MEMBER_ID_REQUIRED, "c-1"), timers=(session,))
    members = (JoinedMember("c-1", None, b"likes range"),)
    assert driver.answers[2] == JoinReply(ErrorCode.NONE, "c-1", 1, "consumer", "range", "c-1", False, members)


@pytest.mark.parametrize("named", [{"client_id": "c" * 32_766}, {"instance_id": "i" * 32_766}])
def test_a_member_whose_id_no_answer_could_hold_is_refused_and_the_others_go_on(named: dict[str, str]) -> None:
    """It was let in; the leader, who is told all ids, never got an answer any more."""
    driver = Driver()

    refused = driver.decide(join(1, **named))
    driver.decide(join(2))
    driver.advance(0)

    assert refused == Decision(reply=JoinReply(ErrorCode.INVALID_REQUEST))
    assert [member.member_id for member in driver.answers[2].members] == ["c-2"]


@pytest.mark.parametrize(
    ("count", "error"), [(1_000, ErrorCode.MEMBER_ID_REQUIRED), (1_001, ErrorCode.INVALID_REQUEST)]
)
def test_a_member_that_names_very_many_protocols_is_refused(count: int, error: ErrorCode) -> None:
    """A million of them held the broker up for seconds, again and again: they are gone through at each rebalance."""
    protocols = tuple((f"p{number}", b"") for number in range(count))

    assert Driver().do(join(1, must_know_member_id=True, protocols=protocols)).error is error


def test_a_member_id_that_is_never_used_is_forgotten_with_its_group() -> None:
    driver = Driver()
    driver.do(join(1, must_know_member_id=True))

    driver.advance(10_000)

    assert driver.coordinator.group_ids() == ()
    assert driver.do(join(2, "c-1")) == JoinReply(ErrorCode.UNKNOWN_MEMBER_ID, "c-1")


def test_the_leader_learns_of_all_members_and_its_assignment_reaches_them_once_it_is_in_the_log() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)

    follower = driver.decide(sync(3, "c-2", 1))
    leader = driver.decide(sync(4, "c-1", 1, assignments=(("c-1", b"one"), ("c-2", b"two"))))

    assert driver.answers[1].members == (
        JoinedMember("c-1", None, b"likes range"),
        JoinedMember("c-2", None, b"likes range"),
    )
    assert driver.answers[2] == JoinReply(ErrorCode.NONE, "c-2", 1, "consumer", "range", "c-1")
    assert (follower.records, follower.reply) == ((), None)
    assert leader.records == (
        GroupStored(
            "g", 1, "consumer", "range", "c-1", 1_000_000,
            (
                StoredMember("c-1", None, "c", "/10.0.0.1", 60_000, 10_000, b"likes range", b"one"),
                StoredMember("c-2", None, "c", "/10.0.0.1", 60_000, 10_000, b"likes range", b"two"),
            ),
        ),
    )  # fmt: skip
    assert leader.reply == SyncReply(ErrorCode.NONE, "consumer", "range", b"one")
    assert leader.released == ((3, SyncReply(ErrorCode.NONE, "consumer", "range", b"two")),)


def test_a_member_that_syncs_late_gets_the_assignment_of_its_generation() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.do(join(2))
    driver.advance(0)
    driver.do(sync(3, "c-1", 1, assignments=(("c-2", b"two"),)))

    assert driver.do(sync(4, "c-2", 1)) == SyncReply(ErrorCode.NONE, "consumer", "range", b"two")


def test_a_member_that_the_leader_left_out_gets_an_empty_assignment() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.advance(0)

    assert driver.do(sync(2, "c-1", 1)) == SyncReply(ErrorCode.NONE, "consumer", "range", b"")


def test_metadata_of_any_protocol_type_is_passed_on_unread() -> None:
    driver = Driver()
    driver.do(join(1, protocol_type="connect", protocols=(("sessioned", b"\xff\0"), ("default", b""))))
    driver.advance(0)

    members = (JoinedMember("c-1", None, b"\xff\0"),)
    assert driver.answers == {1: JoinReply(ErrorCode.NONE, "c-1", 1, "connect", "sessioned", "c-1", False, members)}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"session_timeout_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"protocols": ()}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_join_that_cannot_be_is_refused_and_leaves_no_group(changes: dict[str, object], error: ErrorCode) -> None:
    driver = Driver()

    decision = driver.decide(join(1, **changes))

    assert decision == Decision(reply=JoinReply(error, str(changes.get("member_id", ""))))
    assert driver.coordinator.group_ids() == ()


def test_a_member_of_another_protocol_type_or_without_a_common_protocol_is_refused() -> None:
    driver = Driver()
    stable_group(driver, 1)

    assert driver.do(join(2, protocol_type="connect")) == JoinReply(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    assert driver.do(join(3, protocols=(("sticky", b""),))) == JoinReply(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def test_a_full_group_refuses_new_members_and_keeps_its_own() -> None:
    driver = Driver(Settings(group_max_size=2))
    leader, follower = stable_group(driver, 2)

    assert driver.do(join(3)) == JoinReply(ErrorCode.GROUP_MAX_SIZE_REACHED)
    assert driver.do(heartbeat(leader, 1)) == ErrorReply()
    assert driver.do(join(4, follower)).error is ErrorCode.NONE


def test_a_sync_is_checked_for_member_generation_and_protocol() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)

    def refused(**changes: object) -> ErrorCode:
        reply = driver.do(sync(2, **({"member_id": member, "generation": 1} | changes)))  # type: ignore[arg-type]
        assert isinstance(reply, SyncReply)
        return reply.error

    assert refused(group_id="") is ErrorCode.INVALID_GROUP_ID
    assert refused(group_id="other") is ErrorCode.UNKNOWN_MEMBER_ID
    assert refused(member_id="stranger") is ErrorCode.UNKNOWN_MEMBER_ID
    assert refused(generation=2) is ErrorCode.ILLEGAL_GENERATION
    assert refused(protocol="sticky") is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert refused(protocol_type="connect") is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert refused(protocol_type="consumer", protocol="range") is ErrorCode.NONE


def test_a_heartbeat_is_checked_for_member_and_generation() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)

    assert driver.do(heartbeat(member, 1)) == ErrorReply()
    assert driver.do(heartbeat(member, 0)) == ErrorReply(ErrorCode.ILLEGAL_GENERATION)
    assert driver.do(heartbeat("stranger", 1)) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)
    assert driver.do(heartbeat(member, 1, group_id="other")) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)
    assert driver.do(heartbeat(member, 1, group_id="")) == ErrorReply(ErrorCode.INVALID_GROUP_ID)


def test_a_member_stays_in_as_long_as_it_sends_heartbeats_and_is_dropped_when_it_does_not() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1)
    for _ in range(5):
        driver.advance(9_999)
        assert driver.do(heartbeat(member, 1)) == ErrorReply()

    driver.advance(10_000)

    assert driver.do(heartbeat(member, 1)) == ErrorReply(ErrorCode.UNKNOWN_MEMBER_ID)
    view = driver.coordinator.view("g")
    assert view is not None
    assert (view.state, view.generation, view.members) == ("Empty", 2, ())


def test_a_member_that_leaves_makes_the_others_join_again() -> None:
    driver = Driver()
    first, second, third = stable_group(driver, 3)

    assert driver.do(leave(second)) == PartsReply(parts=(ErrorCode.NONE,))

    assert driver.do(heartbeat(first, 1)) == ErrorReply(ErrorCode.REBALANCE_IN_PROGRESS)
    driver.do(join(4, third))
    driver.do(join(5, first))
    assert [driver.answers[waiter].generation for waiter in (4, 5)] == [2, 2]
    assert [member.member_id for member in driver.answers[5].members] == [first, third]


def test_several_members_leave_at_once_each_with_an_answer_of_its_own() -> None:
    driver = Driver()
    first, second = stable_group(driver, 2)
    driver.do(join(3, must_know_member_id=True))

    reply = driver.do(leave(second, "stranger", "c-3", first))

    assert reply == PartsReply(parts=(ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.NONE, ErrorCode.NONE))
    view = driver.coordinator.view("g")
    assert view is not None
    assert (view.state, view.generation) == ("Empty", 2)


def test_leaving_a_group_that_is_not_there_is_answered_for_each_member() -> None:
    assert Driver().do(leave("a", "b")) == PartsReply(parts=(ErrorCode.UNKNOWN_MEMBER_ID,) * 2)


def test_a_new_member_whose_join_waits_for_others_is_sent_to_join_anew_after_five_minutes() -> None:
    driver = Driver()
    (member,) = stable_group(driver, 1, lambda _: {"rebalance_timeout_ms": 600_000})
    driver.do(join(3, rebalance_timeout_ms=600_000))

    for _ in range(60):
        driver.advance(5_000)
        driver.do(heartbeat(member, 1))

    assert driver.answers[3] == JoinReply(ErrorCode.UNKNOWN_MEMBER_ID)


def test_a_join_sent_twice_by_one_member_releases_the_earlier_one() -> None:
    driver = Driver()
    first, second = stable_group(driver, 2)
    driver.do(join(3, first))

    again = driver.decide(join(4, first))
    driver.do(join(5, second))

    assert again.released == ((3, JoinReply(ErrorCode.REBALANCE_IN_PROGRESS, first)),)
    assert driver.answers[4].generation == 2


def test_what_the_leader_assigns_to_strangers_is_not_kept_and_the_last_of_a_name_holds() -> None:
    driver = Driver()
    driver.do(join(1))
    driver.advance(1)
    strangers = [(f"x{number}", b"for nobody") for number in range(1_000)]

    decision = driver.decide(sync(2, "c-1", 1, assignments=[("c-1", b"first"), *strangers, ("c-1", b"last")]))

    assert decision.reply == SyncReply(protocol_type="consumer", protocol="range", assignment=b"last")
    (stored,) = decision.records
    assert [(member.member_id, member.assignment) for member in stored.members] == [("c-1", b"last")]
