"""When a failed task starts again. Pure. Tested in tests/connect/test_restart.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.client.backoff import backoff_ms

# A task that ran this many times its longest wait before it failed again counts as recovered.
RECOVERED_AFTER_WAITS = 2


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """attempts_max: restarts in a row, -1 without end, 0 for none."""

    attempts_max: int
    backoff_ms: int
    backoff_max_ms: int

    @staticmethod
    def of(values: Mapping[str, Any]) -> "RestartPolicy":
        never = values["restart.policy"] == "never"
        return RestartPolicy(
            0 if never else values["restart.max.attempts"],
            values["restart.backoff.ms"],
            values["restart.backoff.max.ms"],
        )

    def wait_ms(self, attempt: int, *, is_down: bool = False) -> int | None:
        """The wait before restart number `attempt`, from 1; None when the task stays failed.

        is_down: what it talks to was down, which is waited for without end, unless there are no restarts at all.
        """
        if self.attempts_max == 0 or (0 < self.attempts_max < attempt and not is_down):
            return None
        return backoff_ms(attempt, first_ms=self.backoff_ms, max_ms=self.backoff_max_ms)

    def attempt_after(self, attempt: int, ran_ms: int) -> int:
        """The number of the next attempt for a task that ran for `ran_ms` since the last one."""
        return 1 if ran_ms >= RECOVERED_AFTER_WAITS * self.backoff_max_ms else attempt + 1


def span(wait_ms: float) -> str:
    """A wait as people read it: `2 s`, `0.5 s`."""
    return f"{wait_ms / 1000:.3g} s"
