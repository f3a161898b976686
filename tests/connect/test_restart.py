"""When a failed task starts again."""

from millstream.connect.worker.restart import RestartPolicy


def test_waits_double_up_to_the_longest_and_end_after_the_last_attempt() -> None:
    policy = RestartPolicy(attempts_max=6, backoff_ms=100, backoff_max_ms=1_000)

    assert [policy.wait_ms(attempt) for attempt in range(1, 8)] == [100, 200, 400, 800, 1_000, 1_000, None]


def test_without_a_limit_it_goes_on_and_never_overflows() -> None:
    policy = RestartPolicy(attempts_max=-1, backoff_ms=100, backoff_max_ms=1_000)

    assert policy.wait_ms(10_000) == 1_000
    assert RestartPolicy(-1, backoff_ms=1, backoff_max_ms=2**31).wait_ms(10_000) == 2**31


def test_what_is_down_is_waited_for_beyond_the_last_attempt() -> None:
    assert RestartPolicy(attempts_max=2, backoff_ms=100, backoff_max_ms=1_000).wait_ms(50, is_down=True) == 1_000
    assert RestartPolicy(attempts_max=0, backoff_ms=100, backoff_max_ms=1_000).wait_ms(1, is_down=True) is None


def test_never_is_no_restart() -> None:
    values = {
        "restart.policy": "never",
        "restart.max.attempts": 10,
        "restart.backoff.ms": 1,
        "restart.backoff.max.ms": 1,
    }

    assert RestartPolicy.of(values).wait_ms(1) is None


def test_a_task_that_ran_well_for_long_begins_to_count_anew() -> None:
    policy = RestartPolicy(attempts_max=3, backoff_ms=100, backoff_max_ms=1_000)

    assert policy.attempt_after(3, ran_ms=1_999) == 4
    assert policy.attempt_after(3, ran_ms=2_000) == 1
