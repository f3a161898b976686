"""How long things take: counts in steps of 12 percent, and quantiles of the last minutes from them. Pure.

note() is on the path of every request: two additions and two shifts. Tested in tests/core/broker/test_metrics.py.
"""

from collections.abc import Sequence

WINDOW_S = 150.0
"""A quantile is of the last one to two windows, about what the exporters of Kafka's own metrics show."""
STEPS = 4
BUCKETS = 44 * STEPS


def _bucket(duration_us: int) -> int:
    """Four steps for each power of two."""
    bits = duration_us.bit_length()
    if bits <= 3:
        return duration_us
    return min((bits << 2) | ((duration_us >> (bits - 3)) & 3), BUCKETS - 1)


def _upper_us(bucket: int) -> int:
    """The end of a bucket, exclusive."""
    bits, step = divmod(bucket, STEPS)
    return bucket + 1 if bits <= 3 else (STEPS + step + 1) << (bits - 3)


class Durations:
    """count and total_s are since the start. Quantiles are in steps of at most a quarter of the value."""

    __slots__ = ("_begun_s", "_now", "_previous", "count", "total_s")

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self._begun_s: float | None = None
        self._now = [0] * BUCKETS
        self._previous = [0] * BUCKETS

    def note(self, duration_s: float) -> None:
        self.count += 1
        self.total_s += duration_s
        self._now[_bucket(int(duration_s * 1_000_000))] += 1

    def quantiles_s(self, wanted: Sequence[float], now_s: float) -> list[float]:
        """In seconds, 0.0 when nothing was noted lately. Windows begin when somebody looks."""
        counts = [now + before for now, before in zip(self._now, self._previous, strict=True)]
        if self._begun_s is None:
            self._begun_s = now_s
        elif now_s - self._begun_s >= WINDOW_S:
            self._previous, self._now, self._begun_s = self._now, [0] * BUCKETS, now_s
        total = sum(counts)
        return [_at(counts, quantile * total) / 1_000_000 if total else 0.0 for quantile in wanted]


def _at(counts: Sequence[int], rank: float) -> int:
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            return _upper_us(bucket)
    return 0
