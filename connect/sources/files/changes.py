"""Waits until something may have changed in folders: told by the system, or after an interval at the latest. Shell.

The system refuses to tell where there are more folders than it watches for a user; then the interval alone counts.
Tested in tests/connect/sources/test_changes.py.
"""

import contextlib
import logging
import threading
from collections.abc import Generator, Iterable

from watchfiles import watch

log = logging.getLogger(__name__)

DEBOUNCE_MS, STEP_MS = 50, 10


class Changes:
    """Of folders that are there. recursive: also of the folders below them."""

    def __init__(self, folders: Iterable[str], interval_ms: int, *, recursive: bool) -> None:
        self._interval_ms = interval_ms
        self._stop = threading.Event()
        paths = list(folders)
        self._told: Generator[object, None, None] | None = None
        if paths:
            self._told = watch(
                *paths,
                watch_filter=None,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=interval_ms,
                yield_on_timeout=True,
                raise_interrupt=False,
                ignore_permission_denied=True,
                recursive=recursive,
                stop_event=self._stop,
            )

    def wait(self) -> None:
        """Blocks until there is a change, or for the interval, or until close()."""
        try:
            if self._told is not None and next(self._told, None) is not None:
                return
        except (OSError, RuntimeError) as error:
            log.warning(
                "the system does not tell of changes in the folders: %s; they are looked at every %d ms. On Linux, "
                "raise fs.inotify.max_user_watches, or name fewer folders",
                *(error, self._interval_ms),
            )
        self._told = None
        self._stop.wait(self._interval_ms / 1000)

    def close(self) -> None:
        """Ends a wait that is under way in another thread, and every later one."""
        self._stop.set()
        if self._told is not None:
            with contextlib.suppress(ValueError):  # the wait in the other thread ends it
                self._told.close()
