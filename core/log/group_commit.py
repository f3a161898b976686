"""One thread that syncs the logs of a data directory; all who wait for one log share a sync. Shell.

While a sync runs, requests gather, and the next one serves them all. Waiting is by future, or by on_flushed, which is
called on this thread after each sync or failure of a log. Tested in tests/core/log/test_group_commit.py.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Protocol

from ..errors import StorageError

logger = logging.getLogger(__name__)


class FlushableLog(Protocol):
    """What the committer does with a log."""

    def flush(self) -> int: ...

    def tidy(self) -> None: ...


class GroupCommit:
    """Call request() or kick() from any thread; close() serves what was asked for before.

    on_timed: told the seconds that each sync took; on_failed: told of a log that could not be flushed, which may try
    again. Both on this object's own thread.
    """

    def __init__(
        self,
        on_flushed: Callable[[FlushableLog], None] | None = None,
        on_timed: Callable[[float], None] | None = None,
        on_failed: Callable[[FlushableLog], None] | None = None,
    ) -> None:
        self._on_flushed = on_flushed
        self._on_timed = on_timed
        self._on_failed = on_failed
        self._lock = threading.Lock()
        self._asked: dict[FlushableLog, list[Future[int]]] = {}
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._closed

    def request(self, log: FlushableLog) -> "Future[int]":
        """Resolves with the flushed offset once all that was appended so far is on the medium, or with StorageError."""
        future: Future[int] = Future()
        self._ask(log, future)
        return future

    def kick(self, log: FlushableLog) -> None:
        """As request() for nobody in particular: the high watermark will follow."""
        self._ask(log, None)

    def _ask(self, log: FlushableLog, future: "Future[int] | None") -> None:
        with self._lock:
            if self._closed:
                raise StorageError("the committer is closed")
            wake = not self._asked
            waiting = self._asked.setdefault(log, [])
            if future is not None:
                waiting.append(future)
        if wake:
            self._wake.put(True)

    def close(self) -> None:
        """Serve what is waiting and end the thread."""
        with self._lock:
            self._closed = True
        self._wake.put(False)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            more = self._wake.get()
            with self._lock:
                asked, self._asked = self._asked, {}
            for log, futures in asked.items():
                self._serve(log, futures)

    def _serve(self, log: FlushableLog, futures: "list[Future[int]]") -> None:
        offset, failure = -1, None
        begun_s = time.perf_counter()
        try:
            offset = log.flush()
        except StorageError as error:
            failure = error
        except Exception as error:
            # The thread serves every log and must outlive a bug in one; whoever waits is told.
            logger.exception("flush of %r failed", log)
            failure = StorageError(f"{log!r} could not be flushed: {error!r}")
        if self._on_timed is not None:
            self._on_timed(time.perf_counter() - begun_s)
        for future in futures:
            if future.set_running_or_notify_cancel():
                if failure is None:
                    future.set_result(offset)
                else:
                    future.set_exception(failure)
        self._finish(log, tidy=failure is None)

    def _finish(self, log: FlushableLog, *, tidy: bool) -> None:
        try:
            if self._on_flushed is not None:
                self._on_flushed(log)
            if tidy:
                log.tidy()
            elif self._on_failed is not None:
                self._on_failed(log)
        except Exception:
            # As above: nobody waits here, and the thread must go on.
            logger.exception("after the flush of %r", log)
