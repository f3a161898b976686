"""The only doors from pure and storage code to the outside: time, randomness and the disk. Shell.

Pure code takes readings of these as plain values; the shells hold the objects.
"""

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: wall-clock time, which may jump, and monotonic time, for spans."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary start; never goes back."""
        ...


class Rng(Protocol):
    """A source of random bytes."""

    def random_bytes(self, count: int) -> bytes: ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class SystemRng:
    """The machine's own entropy."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)
