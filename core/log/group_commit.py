"""Threads that sync the logs of a data directory; all who wait for one log share a sync. Shell.

While a log is synced, those who ask for it gather, and its next sync serves them all. Several logs are synced side by
side: a sync is waiting, and the medium does many at once in hardly more time than one. Who waits is told by on_flushed
after each sync or failure of a log. Tested in tests/core/log/test_group_commit.py.
"""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from ..errors import StorageError

logger = logging.getLogger(__name__)

THREADS = 8
"""At most; each is started when there is a log that the others have no time for."""


class FlushableLog(Protocol):
    """What is done with a log, by one thread at a time."""

    def flush(self) -> int: ...

    def tidy(self) -> None: ...


class GroupCommit:
    """Call kick() from any thread; close() serves what was asked for before.

    on_timed: told the seconds that each sync took, one at a time; on_failed: told of a log that could not be flushed,
    which may try again. All on this object's own threads; on_flushed and on_failed for several logs at a time.
    """

    def __init__(
        self,
        on_flushed: Callable[[FlushableLog], None],
        on_timed: Callable[[float], None] | None = None,
        on_failed: Callable[[FlushableLog], None] | None = None,
    ) -> None:
        self._on_flushed = on_flushed
        self._on_timed = on_timed
        self._on_failed = on_failed
        self._changing = threading.Condition()
        self._asked: set[FlushableLog] = set()
        self._served: set[FlushableLog] = set()
        self._ready: SimpleQueue[FlushableLog | None] = SimpleQueue()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._start_thread()

    @property
    def closed(self) -> bool:
        return self._closed

    def kick(self, log: FlushableLog) -> None:
        """Have all that was appended to the log so far put on the medium. Raises StorageError once closed."""
        with self._changing:
            if self._closed:
                raise StorageError("the committer is closed")
            if log in self._asked:
                return
            self._asked.add(log)
            if log not in self._served:
                self._ready.put(log)
                if len(self._threads) < THREADS and len(self._threads) < len(self._asked | self._served):
                    self._start_thread()

    def close(self) -> None:
        """Serve what is waiting and end the threads."""
        with self._changing:
            self._closed = True
            self._changing.wait_for(lambda: not self._asked and not self._served)
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"group-commit-{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        while (log := self._ready.get()) is not None:
            with self._changing:
                self._asked.discard(log)
                self._served.add(log)
            self._serve(log)
            with self._changing:
                self._served.discard(log)
                if log in self._asked:  # Behind the others that wait.
                    self._ready.put(log)
                self._changing.notify_all()

    def _serve(self, log: FlushableLog) -> None:
        begun_s = time.perf_counter()
        try:
            flushed = self._flush(log)
            if self._on_timed is not None:
                with self._changing:
                    self._on_timed(time.perf_counter() - begun_s)
            self._on_flushed(log)
            if flushed:
                log.tidy()
            elif self._on_failed is not None:
                self._on_failed(log)
        except Exception:
            # The threads serve every log and must outlive a bug in one.
            logger.exception("after the flush of %r", log)

    def _flush(self, log: FlushableLog) -> bool:
        try:
            log.flush()
        except StorageError:
            return False  # The log has told why, and knows it.
        except Exception:
            logger.exception("flush of %r failed", log)
            return False
        return True
