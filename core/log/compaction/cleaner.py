"""The cleaner of a data directory: log.cleaner.threads threads, each of which cleans whichever log is next. Shell.

The work itself is done in a process of each thread's own where the disk is a real one; together they have the memory
for keys and the bytes a second that the settings give. Settings may change meanwhile: a job that runs ends as it began.
Source: LogCleaner of Kafka 4.3.1. Tested in tests/core/log/test_cleaner.py.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ...errors import CorruptRecords, StorageError
from ...ports import Clock, Disk
from ..directory import LogDirectory
from ..partition_log import PartitionLog
from ..real_disk import RealDisk
from .cleaning_queue import CleaningQueue
from .compaction import CleanedGroup, CleaningDone, CleaningJob, Pause, clean
from .compaction_process import CleaningProcess
from .compaction_rules import CleaningPlan
from .log_cleaning import CleanerSettings, job_for

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
    return CleaningProcess(settings.thread_bytes_per_second) if isinstance(disk, RealDisk) else CleaningHere(disk)


class LogCleaner:
    """All cleaning of a directory. start(), configure() and close() belong to one thread.

    run_once() is what each thread does again and again, here in the thread that asks.
    """

    def __init__(
        self,
        directory: LogDirectory,
        clock: Clock,
        settings: CleanerSettings,
        new_runner: Callable[[CleanerSettings], Runner],
    ) -> None:
        self.queue = CleaningQueue(directory, clock)
        self._world = _World(directory, clock, self.queue, new_runner)
        self._settings = settings
        self._here = _Worker(self._world, settings)
        self._started = False
        self._threads: list[_Worker] = []

    def start(self) -> None:
        """Begin to clean, with as many threads as the settings say."""
        self._started = True
        self.configure(self._settings)

    def configure(self, settings: CleanerSettings) -> None:
        """From the next job of each thread on. Threads too many end after theirs."""
        self._settings = settings
        self._threads = [worker for worker in self._threads if worker.is_alive()]
        running = [worker for worker in self._threads if not worker.retired]
        missing = settings.threads - len(running) if self._started else 0
        for worker in [_Worker(self._world, settings) for _ in range(missing)]:
            self._threads.append(worker)
            worker.start()
        for number, worker in enumerate(running):
            worker.configure(settings, retired=number >= settings.threads)

    def run_once(self) -> bool:
        """Clean the log that is next; whether there was one."""
        return self._here.run_once()

    def close(self) -> None:
        """End the threads, in the middle of a job too; nothing of a half done job counts."""
        self._world.ended = True
        for worker in (self._here, *self._threads):
            worker.close()


@dataclass(slots=True)
class _World:
    """What the threads of one cleaner share."""

    directory: LogDirectory
    clock: Clock
    queue: CleaningQueue
    new_runner: Callable[[CleanerSettings], Runner]
    ended: bool = False


class _Worker:
    """One thread, and where its jobs are done."""

    def __init__(self, world: _World, settings: CleanerSettings) -> None:
        self.retired = False
        self._world = world
        self._settings = settings
        self._runner = world.new_runner(settings)
        self._runs_with = settings
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-cleaner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def configure(self, settings: CleanerSettings, *, retired: bool) -> None:
        self._settings = settings
        self.retired = retired
        self._changed.set()

    def close(self) -> None:
        self._changed.set()
        while self._thread.is_alive():
            self._runner.close()
            self._thread.join(0.05)
        self._runner.close()

    @property
    def _ended(self) -> bool:
        return self.retired or self._world.ended

    def _run(self) -> None:
        while not self._ended:
            try:
                if self.run_once():
                    continue
            except Exception:
                # The outermost loop: a bug in the cleaning of one log must not end that of all others.
                logger.exception("the log cleaner failed; it goes on after %d ms", self._settings.backoff_ms)
            self._runner.close()
            self._changed.wait(self._settings.backoff_ms / 1000)
            self._changed.clear()
        self._runner.close()

    def run_once(self) -> bool:
        found = None if self._ended else self._world.queue.take()
        if found is None:
            return False
        log, plan = found
        damage: str | None = None
        wait_ms: int | None = None
        try:
            self._clean(log, plan)
        except CorruptRecords as error:
            logger.error("%s is not cleaned any more: %s", log, error)
            damage = str(error)
        except (OSError, StorageError) as error:
            if log.failure is None and not self._world.ended:
                logger.warning("%s could not be cleaned; tried again later: %s", log, error)
            wait_ms = self._settings.backoff_ms
            self._runner.close()
        finally:
            self._world.queue.give_back(log, damage=damage, wait_ms=wait_ms)
        return True

    def _clean(self, log: PartitionLog, plan: CleaningPlan) -> None:
        """Raises CorruptRecords, StorageError, OSError; what was put in place until then stays."""
        clock, directory, settings = self._world.clock, self._world.directory, self._settings
        if settings.thread_bytes_per_second != self._runs_with.thread_bytes_per_second:
            self._runner.close()
            self._runner = self._world.new_runner(settings)
        self._runs_with = settings
        begun_ms = clock.monotonic_ms()
        job = job_for(log, plan, settings, now_ms=clock.now_ms())
        directory.checkpoint_up_to(log, plan.first_uncleanable_offset)
        for found in self._runner.run(job):
            if isinstance(found, CleanedGroup):
                if not log.config.compacted:
                    raise StorageError("its cleanup.policy has changed")
                log.exchange(found, clock.now_ms())
            else:
                directory.note_cleaned(log, found.end_offset)
                logger.info(
                    "%s cleaned up to offset %d in %d ms: %d of %d bytes and %d of %d records stay, %d keys",
                    log, found.end_offset, clock.monotonic_ms() - begun_ms, found.bytes_kept, found.bytes_read,
                    found.records_kept, found.records_read, found.keys,
                )  # fmt: skip
