"""Which log is cleaned next: of those that are due and that nobody cleans, the one with the largest dirty part. Shell.

A log with damage is not cleaned again before a restart; one that could not be cleaned for another reason is tried again
after the back-off. As in Kafka a log past max.compaction.lag.ms is due whatever its dirty part, and waits its turn.
Source: LogCleanerManager.grabFilthiestCompactedLog of Kafka 4.3.1. Tested in tests/core/log/test_cleaner.py.
"""

import logging
import threading
from collections.abc import Iterator

from ...ports import Clock
from ..directory import LogDirectory
from ..partition_log import PartitionLog
from .compaction_rules import CleaningPlan
from .log_cleaning import plan_for

logger = logging.getLogger(__name__)


class CleaningQueue:
    """Of one data directory; for any number of threads.

    dirty_ratio: of the dirtiest log at the last look. uncleanable: logs that were found damaged, each with the cause.
    """

    def __init__(self, directory: LogDirectory, clock: Clock) -> None:
        self.dirty_ratio = 0.0
        self.last_look_ms = clock.now_ms()
        self.uncleanable: dict[PartitionLog, str] = {}
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: set[PartitionLog] = set()
        self._not_before_ms: dict[PartitionLog, int] = {}

    def take(self) -> tuple[PartitionLog, CleaningPlan] | None:
        """The log that is to be cleaned now, which is the caller's until give_back()."""
        with self._lock:
            self.last_look_ms = now_ms = self._clock.now_ms()
            plans = dict(self._plans(now_ms))
            self.dirty_ratio = max((plan.dirty_ratio for plan in plans.values()), default=0.0)
            due = [log for log, plan in plans.items() if plan.due(log.config)]
            if not due:
                return None
            log = max(due, key=lambda one: plans[one].dirty_ratio)
            self._taken.add(log)
            return log, plans[log]

    def give_back(self, log: PartitionLog, *, damage: str | None = None, wait_ms: int | None = None) -> None:
        """It may be taken again; not if it is damaged, and not before `wait_ms` are over."""
        with self._lock:
            self._taken.discard(log)
            if damage is not None:
                self.uncleanable[log] = damage
            if wait_ms is not None:
                self._not_before_ms[log] = self._clock.monotonic_ms() + wait_ms

    def _plans(self, now_ms: int) -> Iterator[tuple[PartitionLog, CleaningPlan]]:
        logs = self._directory.logs()
        self.uncleanable = {log: cause for log, cause in self.uncleanable.items() if log in logs}
        self._not_before_ms = {log: time_ms for log, time_ms in self._not_before_ms.items() if log in logs}
        monotonic_ms = self._clock.monotonic_ms()
        for log in logs:
            waits = self._not_before_ms.get(log, monotonic_ms) > monotonic_ms
            if not log.config.compacted or log.failure is not None or log in self.uncleanable or waits:
                continue
            if log in self._taken:
                continue
            try:
                yield log, plan_for(log, cleaned_to=self._directory.cleaned_to(log), now_ms=now_ms)
            except OSError as error:
                if log.failure is None:
                    logger.warning("%s could not be looked at: %s", log, error)
