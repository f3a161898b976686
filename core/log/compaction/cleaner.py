"""The cleaner of a data directory: one thread that cleans whichever compacted log is due and dirtiest. Shell.

The work itself is done in a process of its own where the disk is a real one. A log with damage is not cleaned again
before a restart; one that could not be cleaned for another reason is tried again after the back-off.
Source: LogCleaner of Kafka 4.3.1. Tested in tests/core/log/test_cleaner.py.
"""

import logging
import threading
from collections.abc import Iterator
from typing import Protocol

from ...errors import CorruptRecords, StorageError
from ...ports import Clock, Disk
from ..directory import LogDirectory
from ..partition_log import PartitionLog
from ..real_disk import RealDisk
from .compaction import CleanedGroup, CleaningDone, CleaningJob, Pause, clean
from .compaction_process import CleaningProcess
from .compaction_rules import CleaningPlan
from .log_cleaning import CleanerSettings, job_for, plan_for

logger = logging.getLogger(__name__)


class Runner(Protocol):
    """Where jobs are done."""

    def run(self, job: CleaningJob) -> Iterator[CleanedGroup | CleaningDone]: ...

    def close(self) -> None: ...


class CleaningHere:
    """Jobs in the thread that asks for them."""

    def __init__(self, disk: Disk, pause: Pause = lambda _: None) -> None:
        self._disk = disk
        self._pause = pause

    def run(self, job: CleaningJob) -> Iterator[CleanedGroup | CleaningDone]:
        return clean(job, self._disk, self._pause)

    def close(self) -> None:
        """There is nothing to let go of."""


def runner_for(disk: Disk, settings: CleanerSettings) -> Runner:
    """A process for files that another process can open, else the thread itself."""
    return CleaningProcess(settings.bytes_per_second) if isinstance(disk, RealDisk) else CleaningHere(disk)


class LogCleaner:
    """start() and close() belong to one thread; run_once() is what the cleaner's own thread does again and again.

    dirty_ratio: of the dirtiest log at the last look. uncleanable: logs that were found damaged.
    """

    def __init__(self, directory: LogDirectory, clock: Clock, settings: CleanerSettings, runner: Runner) -> None:
        self.dirty_ratio = 0.0
        self.last_look_ms = clock.now_ms()
        self.uncleanable: dict[PartitionLog, str] = {}
        self._directory = directory
        self._clock = clock
        self._settings = settings
        self._runner = runner
        self._not_before_ms: dict[PartitionLog, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-cleaner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread, in the middle of a job too; nothing of a half done job counts."""
        self._ended.set()
        while self._thread.is_alive():
            self._runner.close()
            self._thread.join(0.05)
        self._runner.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                if self.run_once():
                    continue
            except Exception:
                # The outermost loop: a bug in the cleaning of one log must not end that of all others.
                logger.exception("the log cleaner failed; it goes on after %d ms", self._settings.backoff_ms)
            self._runner.close()
            self._ended.wait(self._settings.backoff_ms / 1000)

    def run_once(self) -> bool:
        """Clean the dirtiest log that is due; whether there was one."""
        now_ms = self._clock.now_ms()
        self.last_look_ms = now_ms
        plans = dict(self._plans(now_ms))
        self.dirty_ratio = max((plan.dirty_ratio for plan in plans.values()), default=0.0)
        due = [log for log, plan in plans.items() if plan.due(log.config)]
        if not due or self._ended.is_set():
            return False
        log = max(due, key=lambda one: plans[one].dirty_ratio)
        try:
            self._clean(log, plans[log], now_ms)
        except CorruptRecords as error:
            logger.error("%s is not cleaned any more: %s", log, error)
            self.uncleanable[log] = str(error)
        except (OSError, StorageError) as error:
            if log.failure is None and not self._ended.is_set():
                logger.warning("%s could not be cleaned; tried again later: %s", log, error)
            self._not_before_ms[log] = self._clock.monotonic_ms() + self._settings.backoff_ms
            self._runner.close()
        return True

    def _plans(self, now_ms: int) -> Iterator[tuple[PartitionLog, CleaningPlan]]:
        logs = self._directory.logs()
        self.uncleanable = {log: cause for log, cause in self.uncleanable.items() if log in logs}
        self._not_before_ms = {log: time_ms for log, time_ms in self._not_before_ms.items() if log in logs}
        monotonic_ms = self._clock.monotonic_ms()
        for log in logs:
            waits = self._not_before_ms.get(log, monotonic_ms) > monotonic_ms
            if not log.config.compacted or log.failure is not None or log in self.uncleanable or waits:
                continue
            try:
                yield log, plan_for(log, cleaned_to=self._directory.cleaned_to(log), now_ms=now_ms)
            except OSError as error:
                if log.failure is None:
                    logger.warning("%s could not be looked at: %s", log, error)

    def _clean(self, log: PartitionLog, plan: CleaningPlan, now_ms: int) -> None:
        """Raises CorruptRecords, StorageError, OSError; what was put in place until then stays."""
        begun_ms = self._clock.monotonic_ms()
        job = job_for(log, plan, self._settings, now_ms=now_ms)
        self._directory.checkpoint_up_to(log, plan.first_uncleanable_offset)
        for found in self._runner.run(job):
            if isinstance(found, CleanedGroup):
                if not log.config.compacted:
                    raise StorageError("its cleanup.policy has changed")
                log.exchange(found, self._clock.now_ms())
            else:
                self._directory.note_cleaned(log, found.end_offset)
                logger.info(
                    "%s cleaned up to offset %d in %d ms: %d of %d bytes and %d of %d records stay, %d keys",
                    log, found.end_offset, self._clock.monotonic_ms() - begun_ms, found.bytes_kept, found.bytes_read,
                    found.records_kept, found.records_read, found.keys,
                )  # fmt: skip
