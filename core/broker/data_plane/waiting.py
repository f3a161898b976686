"""Requests that wait for a log to move: produces for the disk, fetches for data. Shell.

The committer's threads call flushed(); the event loop is woken once for all logs that were flushed meanwhile, and
looks only at those who wait for these logs. Tested in tests/core/broker/test_waiting.py.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ...errors import StorageError

LOG = logging.getLogger(__name__)


class WatchedLog(Protocol):
    """What is asked of a partition log here. Compared by identity: a topic made anew has a log of its own."""

    @property
    def flushed_offset(self) -> int: ...

    @property
    def end_offset(self) -> int: ...

    @property
    def failure(self) -> StorageError | None: ...


FlushCallback = Callable[[StorageError | None], None]
"""Told None once the offset is on disk, or why it will never be."""


class Watch:
    """One who is told each time that one of some logs has moved, until cancel()."""

    __slots__ = ("_callback", "_logs", "_watches")

    def __init__(
        self,
        logs: Sequence[WatchedLog],
        callback: Callable[[WatchedLog], None],
        watches: dict[WatchedLog, dict["Watch", None]],
    ) -> None:
        self._logs = logs
        self._callback = callback
        self._watches = watches
        for log in logs:
            watches.setdefault(log, {})[self] = None

    def tell(self, log: WatchedLog) -> None:
        if self._logs:
            self._callback(log)

    def cancel(self) -> None:
        for log in self._logs:
            watches = self._watches.get(log)
            if watches is not None:
                watches.pop(self, None)
                if not watches:
                    del self._watches[log]
        self._logs = ()


class Waiting:
    """Who waits for which log. All methods but flushed() belong to the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._flushed: dict[WatchedLog, None] = {}
        self._flush_waits: dict[WatchedLog, deque[tuple[int, FlushCallback]]] = {}
        self._watches: dict[WatchedLog, dict[Watch, None]] = {}

    def flushed(self, log: WatchedLog) -> None:
        """More of `log` is on disk, or its disk has failed. Called from any thread."""
        with self._lock:
            wake = not self._flushed
            self._flushed[log] = None
        if wake:
            self._loop.call_soon_threadsafe(self._tell_all)

    def _tell_all(self) -> None:
        with self._lock:
            flushed, self._flushed = self._flushed, {}
        for log in flushed:
            self.moved(log)

    def moved(self, log: WatchedLog) -> None:
        """What may be read of `log` has changed, or the log is gone."""
        waits = self._flush_waits.get(log)
        if waits is not None:
            failure = log.failure
            flushed_offset = log.flushed_offset
            while waits and (failure is not None or waits[0][0] <= flushed_offset):
                offset, callback = waits.popleft()
                try:
                    callback(None if offset <= flushed_offset else failure)
                except Exception:  # The outermost loop of who is told: a fault of one keeps no other waiting.
                    LOG.exception("what waited for offset %d of %r failed", offset, log)
            if not waits:
                del self._flush_waits[log]
        watches = self._watches.get(log)
        if watches is not None:
            for watch in list(watches):
                try:
                    watch.tell(log)
                except Exception:  # As above.
                    LOG.exception("what watched %r failed", log)

    def when_flushed(self, log: WatchedLog, end_offset: int, callback: FlushCallback) -> None:
        """Calls back once everything below `end_offset` is on disk. End offsets of one log come in rising order."""
        self._flush_waits.setdefault(log, deque()).append((end_offset, callback))
        if log.flushed_offset >= end_offset or log.failure is not None:
            self._loop.call_soon(self.moved, log)

    def all_flushed(self, logs: Sequence[WatchedLog]) -> "asyncio.Future[None] | None":
        """Ends once all that these logs hold now is on disk, or their disks have failed; None if that is so already."""
        behind = [log for log in logs if log.flushed_offset < log.end_offset and log.failure is None]
        if not behind:
            return None
        done: asyncio.Future[None] = self._loop.create_future()
        left = len(behind)

        def flushed(_: StorageError | None) -> None:
            nonlocal left
            left -= 1
            if left == 0 and not done.done():
                done.set_result(None)

        for log in behind:
            self.when_flushed(log, log.end_offset, flushed)
        return done

    async def until_flushed(self, log: WatchedLog, end_offset: int) -> None:
        """Returns once everything below `end_offset` is on disk. Raises StorageError if it will never be."""
        done: asyncio.Future[None] = self._loop.create_future()

        def settle(failure: StorageError | None) -> None:
            if done.done():
                return
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

        self.when_flushed(log, end_offset, settle)
        await done

    def watch(self, logs: Sequence[WatchedLog], callback: Callable[[WatchedLog], None]) -> Watch:
        """Calls back, with the log, each time that one of `logs` has moved; until the watch is cancelled."""
        return Watch(logs, callback, self._watches)

    def watched(self, log: WatchedLog) -> bool:
        """Whether somebody waits for `log` to move on."""
        return log in self._watches or log in self._flush_waits

    def waiting_counts(self) -> tuple[int, int]:
        """Waits for the disk, and watches that are open."""
        watches = {watch for watches in self._watches.values() for watch in watches}
        return sum(map(len, self._flush_waits.values())), len(watches)

    def waiting_count(self) -> int:
        """Both together, for tests."""
        return sum(self.waiting_counts())
