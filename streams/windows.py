"""Windows as a plan describes them. Pure. The kernel that puts rows into windows: ops/slots.py.

Source: Kafka Streams' TimeWindows: a window holds start <= time < start + size, starts are multiples of the advance
and never negative. Tests: tests/streams/test_properties.py, tests/dsl/test_windows.py.
"""

from dataclasses import dataclass

from ..core.errors import PlanError

LONGEST_MS = 10 * 366 * 86_400_000
MOST_WINDOWS_A_ROW = 10_000


@dataclass(frozen=True, slots=True)
class Window:
    """Tumbling where advance_ms equals size_ms, else hopping.

    idle_ms: after so long without input, time goes on with the wall clock, so that windows close on quiet input; None:
    never.
    """

    size_ms: int
    advance_ms: int
    grace_ms: int = 0
    idle_ms: int | None = None

    def __post_init__(self) -> None:
        kind = "tumbling" if self.size_ms == self.advance_ms else "hopping"
        if not 1 <= self.size_ms <= LONGEST_MS:
            raise PlanError(f"{kind} window: size {self.size_ms} ms must be from 1 ms to ten years")
        if not 1 <= self.advance_ms <= self.size_ms:
            raise PlanError(
                f"{kind} window: advance {self.advance_ms} ms must be from 1 ms to the size, {self.size_ms} ms; "
                f"a larger advance would leave rows in no window"
            )
        if not 0 <= self.grace_ms <= LONGEST_MS:
            raise PlanError(f"{kind} window: grace {self.grace_ms} ms must be from 0 to ten years")
        if self.idle_ms is not None and self.idle_ms < 1:
            raise PlanError(f"{kind} window: idle {self.idle_ms} ms must be at least 1 ms, or left out")
        if self.windows_a_row > MOST_WINDOWS_A_ROW:
            raise PlanError(
                f"hopping window: each row would fall in {self.windows_a_row} windows, more than {MOST_WINDOWS_A_ROW}; "
                f"use a larger advance"
            )

    @property
    def windows_a_row(self) -> int:
        return -(-self.size_ms // self.advance_ms)
