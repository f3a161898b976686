"""Timers fire when they are due, however often they were put off."""

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.coordinators.deadlines import Deadlines


def test_a_timer_fires_at_its_last_setting_whether_put_off_or_brought_forward() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("later", 10)
    deadlines.set("later", 30)
    deadlines.set("sooner", 50)
    deadlines.set("sooner", 20)
    deadlines.set("never", 5)
    deadlines.set("never", None)

    assert [list(deadlines.pop_due(now_ms)) for now_ms in (9, 19, 20, 29, 30, 60)] == [
        [],
        [],
        ["sooner"],
        [],
        ["later"],
        [],
    ]
    assert (len(deadlines), deadlines.next_ms()) == (0, None)


def test_putting_a_timer_off_costs_no_room() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for at_ms in range(1_000):
        deadlines.set("session", at_ms)

    assert len(deadlines._heap) == 1


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 40), st.integers(0, 5))))
def test_timers_fire_as_in_a_plain_list_of_them(steps: list[tuple[str, int | None, int]]) -> None:
    """Each step sets a timer to so much later, then lets time go by."""
    deadlines: Deadlines[str] = Deadlines()
    plain: dict[str, int] = {}
    now_ms = 0
    for key, after_ms, pass_ms in [*steps, ("a", None, 100)]:
        deadlines.set(key, None if after_ms is None else now_ms + after_ms)
        if after_ms is None:
            plain.pop(key, None)
        else:
            plain[key] = now_ms + after_ms
        now_ms += pass_ms
        fired = sorted(deadlines.pop_due(now_ms))
        assert fired == sorted(name for name, at_ms in plain.items() if at_ms <= now_ms)
        plain = {name: at_ms for name, at_ms in plain.items() if at_ms > now_ms}
        assert (deadlines.next_ms() or 0) <= min(plain.values(), default=0)
