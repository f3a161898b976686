"""How long to wait before the next try. Pure.

Source: KIP-144, KIP-580 (exponential back-off). Tests: tests/core/client/test_backoff.py.
"""

from ..errors import BackOff, Retriable

JITTER = 0.2
LONGEST_DOUBLING = 40
"""Twice as long this often is longer than any wait is let be: numbers stay small."""


def backoff_ms(attempt: int, *, first_ms: int, max_ms: int, random_unit: float = 0.5) -> int:
    """The wait after `attempt` failures: doubling from `first_ms` up to `max_ms`, spread by a fifth to either side.

    attempt: at least 1. random_unit: in [0, 1); 0.5 gives no spread.
    """
    assert attempt >= 1
    assert 0.0 <= random_unit < 1.0
    plain = min(first_ms << min(attempt - 1, LONGEST_DOUBLING), max_ms)
    return max(0, round(plain * (1 - JITTER + 2 * JITTER * random_unit)))


def wait_ms_after(error: Retriable, attempt: int, *, first_ms: int, max_ms: int) -> int:
    """The wait that the error asks for, else that of backoff_ms()."""
    return error.wait_ms if isinstance(error, BackOff) else backoff_ms(attempt, first_ms=first_ms, max_ms=max_ms)
