"""Groups of thousands of members: what each of them asks costs the same, however many there are."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from sim.group_driver import Driver, Settings, heartbeat, join, leave, sync

from millstream.core.coordinators.group_commands import JoinReply
from millstream.core.errors import ErrorCode

MEMBERS = 300


class Protocols(tuple[Any, ...]):
    """A member's protocols, which count how often they are gone through."""

    __slots__ = ()
    gone_through: ClassVar[list[int]] = [0]

    def __iter__(self) -> Iterator[Any]:
        self.gone_through[0] += 1
        return super().__iter__()


def test_a_member_that_joins_does_not_go_through_the_protocols_of_all_others() -> None:
    """4,000 members took 16 s of a core to join, and 16 s for each rebalance."""
    driver = Driver(Settings(group_initial_rebalance_delay_ms=3_000))
    protocols = Protocols((("range", b"likes range"), ("sticky", b"likes both")))
    Protocols.gone_through[0] = 0

    for number in range(MEMBERS):
        driver.do(join(number, protocols=protocols))
    driver.advance(9_000)
    member_ids = [driver.answers[number].member_id for number in range(MEMBERS)]
    for number, member_id in enumerate(member_ids, MEMBERS):
        driver.do(sync(number, member_id, 1))
    driver.do(join(1_000, protocols=protocols))
    for number, member_id in enumerate(member_ids, 1_001):
        driver.do(join(number, member_id, protocols=protocols))

    assert {driver.answers[1_000 + number].generation for number in range(MEMBERS + 1)} == {2}
    assert Protocols.gone_through[0] < 20 * MEMBERS


NAMES = ["a", "b", "c"]
STEPS = st.one_of(
    st.tuples(st.just("join"), st.integers(0, 5), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)),
    st.tuples(st.just("static"), st.integers(0, 2), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["again", "sync", "leave", "live"]), st.integers(0, 5), st.just(["a", "b"])),
    st.tuples(st.just("wait"), st.integers(1, 40_000), st.just([])),
    st.tuples(st.sampled_from(["restart", "revert"]), st.just(0), st.just([])),
)


@given(steps=st.lists(STEPS, max_size=40))
def test_what_a_group_counts_is_what_there_is(steps: list[tuple[str, int, list[str]]]) -> None:
    """Against a recount, after whatever members do."""
    driver = Driver(Settings(group_max_size=4))
    known: list[str] = []
    for waiter, (kind, number, names) in enumerate(steps, 1):
        protocols = tuple((name, name.encode()) for name in names)
        member_id = known[number % len(known)] if known else "nobody"
        group = driver.coordinator._groups.get("g")
        generation = 0 if group is None else group.generation
        match kind:
            case "join":
                driver.do(join(waiter, protocols=protocols, must_know_member_id=number % 2 == 0))
            case "static":
                driver.do(join(waiter, protocols=protocols, instance_id=f"i{number}"))
            case "again":
                driver.do(join(waiter, member_id, protocols=protocols))
            case "sync":
                driver.do(sync(waiter, member_id, generation, assignments=[(one, b"x") for one in known]))
            case "leave":
                driver.do(leave(member_id))
            case "live":
                driver.do(heartbeat(member_id, generation))
            case "wait":
                driver.advance(number)
            case "restart":
                driver.restart()
            case "revert":
                driver.coordinator.revert("g")
        for reply in driver.answers.values():
            if isinstance(reply, JoinReply) and reply.error in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
                known.append(reply.member_id)
        driver.answers.clear()
        _check_counts(driver)


def _check_counts(driver: Driver) -> None:
    group = driver.coordinator._groups.get("g")
    if group is None:
        return
    members = group.members.values()
    assert group.joining_count == sum(member.joining is not None for member in members)
    assert group._speakers == Counter(name for member in members for name in dict(member.protocols))
