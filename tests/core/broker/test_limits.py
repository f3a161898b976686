"""Who gets memory for requests, and in which order; who may connect."""

from millstream.core.broker.network.limits import SMALL_BYTES, ConnectionCounts, RequestMemory


class Asker:
    """Notes when it is its turn."""

    def __init__(self, name: str, turns: list[str]) -> None:
        self._name = name
        self._turns = turns
        self.wake = self._turn  # One object, as it is compared by identity.

    def _turn(self) -> None:
        self._turns.append(self._name)


def test_requests_get_in_while_there_is_any_room() -> None:
    memory = RequestMemory(100)
    first, second = Asker("a", []), Asker("b", [])

    assert memory.take(99, first.wake)
    assert memory.take(500, second.wake)
    assert not memory.take(1, first.wake)
    assert (memory.used_bytes, memory.is_full) == (599, True)


def test_without_a_limit_everything_gets_in() -> None:
    memory = RequestMemory(-1)
    asker = Asker("a", [])

    assert all(memory.take(1 << 40, asker.wake) for _ in range(100))


def test_those_who_wait_come_in_turn_before_those_who_have_just_come() -> None:
    turns: list[str] = []
    memory = RequestMemory(100)
    a, b, c = (Asker(name, turns) for name in "abc")
    holder = Asker("holder", turns)
    memory.take(150, holder.wake)
    assert not memory.take(30, a.wake)
    assert not memory.take(80, b.wake)

    memory.give(150)
    assert turns == ["a"]
    assert not memory.take(1, c.wake)
    assert memory.take(30, a.wake)
    assert turns == ["a", "b"]
    assert memory.take(80, b.wake)
    assert turns == ["a", "b"]
    memory.give(30)
    assert turns == ["a", "b", "c"]


def test_a_small_request_needs_not_wait_behind_large_ones_as_long_as_there_is_a_reserve() -> None:
    memory = RequestMemory(1_000_000, reserve_bytes=20_000)
    large, small = Asker("large", []), Asker("small", [])

    assert memory.take(1_000_000, Asker("holder", []).wake)
    assert not memory.take(SMALL_BYTES + 1, large.wake)
    assert [memory.take(SMALL_BYTES, small.wake) for _ in range(3)] == [True, True, False]


def test_who_leaves_when_it_is_its_turn_lets_the_next_one_in() -> None:
    turns: list[str] = []
    memory = RequestMemory(10)
    a, b = Asker("a", turns), Asker("b", turns)
    memory.take(10, Asker("holder", turns).wake)
    memory.take(1, a.wake)
    memory.take(1, b.wake)

    memory.give(10)
    memory.leave(a.wake)

    assert turns == ["a", "b"]
    assert memory.take(1, b.wake)


def test_connections_are_counted_by_address_and_together() -> None:
    counts = ConnectionCounts(4, 2, {"10.0.0.1": 3})

    assert [counts.admit("10.0.0.2") for _ in range(2)] == [None, None]
    assert "max.connections.per.ip allows 2" in str(counts.admit("10.0.0.2"))
    assert [counts.admit("10.0.0.1") for _ in range(2)] == [None, None]
    assert "max.connections allows" in str(counts.admit("10.0.0.3"))
    counts.leave("10.0.0.2")
    assert counts.admit("10.0.0.1") is None
    assert "max.connections allows" in str(counts.admit("10.0.0.1"))
    assert counts.total == 4
