from hypothesis import given
from hypothesis import strategies as st

from millstream.core.client.backoff import backoff_ms


def test_the_wait_doubles_up_to_its_limit():
    assert [backoff_ms(tries, first_ms=100, max_ms=1_000) for tries in range(1, 7)] == [100, 200, 400, 800, 1000, 1000]


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_wait_stays_within_a_fifth_of_its_limit(tries: int, first_ms: int, unit: float):
    wait_ms = backoff_ms(tries, first_ms=first_ms, max_ms=5_000, random_unit=unit)

    assert 0 <= wait_ms <= 6_000
