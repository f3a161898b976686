"""Makes the logs of topics without holding up the event loop: a few at a time, and what blocks in a thread. Shell.

Tested in tests/core/broker/test_cluster.py and tests/core/broker/test_slow_disk.py.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial

from ...config import LogConfig
from ...coordinators.cluster_commands import TopicInfo
from ...errors import StorageError
from ...log.checkpoints import TopicPartition
from ...log.directory import LogDirectory
from .topic_logs import TopicLogs

LOGS_AT_ONCE = 5
Done = Callable[[StorageError | None], None]
"""Told None once all logs are there, or why some are not."""


class LogMaker:
    """Of one data directory. settings_of: what a topic's logs work by."""

    def __init__(self, logs: LogDirectory, settings_of: Callable[[TopicInfo], LogConfig]) -> None:
        self._logs = logs
        self._topic_logs = TopicLogs(logs)
        self._settings_of = settings_of
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def close(self) -> None:
        """Makes no more; who waits is told."""
        self._closed = True

    def make(self, topics: Sequence[TopicInfo], done: Done, wanted: Callable[[TopicInfo], bool] | None = None) -> None:
        """Makes the logs that are not there yet, of those topics that are still wanted when it is their turn."""
        self._go_on(list(reversed(topics)), done, wanted)

    def _go_on(self, left: list[TopicInfo], done: Done, wanted: Callable[[TopicInfo], bool] | None) -> None:
        """left: topics that may lack logs, the next one last."""
        room = LOGS_AT_ONCE
        try:
            while left:
                if self._closed:
                    raise StorageError(f"{self._logs.path} is being closed")
                if wanted is None or wanted(left[-1]):
                    taken = self._topic_logs.taken(left[-1])
                    if taken:
                        self._make_free(taken, partial(self._go_on, left, done, wanted), done)
                        return
                    room -= self._topic_logs.make(left[-1], self._settings_of(left[-1]), at_most=room)
                    if room <= 0:
                        self._loop.call_soon(self._go_on, left, done, wanted)
                        return
                left.pop()
        except StorageError as error:
            done(error)
            return
        done(None)

    def _make_free(self, names: Collection[TopicPartition], go_on: Callable[[], None], failed: Done) -> None:
        """Wait in a thread until deleted logs are out of the way of new ones of their names: that syncs files."""

        def freed(waited: "asyncio.Future[None]") -> None:
            error = None if waited.cancelled() else waited.exception()
            if error is None:
                go_on()
            else:
                failed(error if isinstance(error, StorageError) else StorageError(f"{self._logs.path}: {error!r}"))

        self._loop.run_in_executor(None, self._logs.make_free, names).add_done_callback(freed)
