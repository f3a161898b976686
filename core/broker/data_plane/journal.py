"""Appends to partition logs, and the wait until they are on disk. Shell.

Every append is followed by a sync, so that the high watermark follows it: at once where somebody waits for that, else
after LATER_S, or LATER_BYTES if these come first, so that many small appends share one and each stays short.
Tested in tests/core/broker/test_produce.py.
"""

import asyncio
from collections.abc import Sequence

from ...errors import StorageError
from ...log.appends import Appended
from ...log.group_commit import GroupCommit
from ...log.partition_log import PartitionLog
from ...ports import Buffer, Clock
from ...wire.batches import BatchHeader
from .leadership import LEADER_EPOCH
from .waiting import Waiting

LATER_S = 0.1
LATER_BYTES = 4 * 1024 * 1024
"""By 4 MB a sync takes half the CPU for each byte that it takes by 1 MB; by more than that hardly less."""


class Journal:
    """The one way by which clients' batches and the coordinators' own get into a log."""

    def __init__(self, commits: GroupCommit, waiting: Waiting, clock: Clock) -> None:
        self._commits = commits
        self._waiting = waiting
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._later: dict[PartitionLog, int] = {}
        """Bytes of the logs that are to be synced later."""
        self.closed = False
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Takes nothing more, and leaves what is not on disk yet to the closing of the logs, in another thread."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()

    def append(self, log: PartitionLog, batches: Sequence[Buffer]) -> Appended:
        """Appends batches of the broker's own, which have no sequence numbers. Raises ProtocolError, StorageError."""
        self._check_open(log)
        appended = log.append(batches, now_ms=self._clock.now_ms(), coordinator=True)
        self._commits.kick(log)
        return appended

    def append_produced(
        self, log: PartitionLog, batch: Buffer, header: BatchHeader, *, now_ms: int, awaited: bool
    ) -> Appended:
        """Appends a client's checked batch: it is in the page cache then, and on its way to the disk.

        awaited: whether the client is answered only when it is on disk.
        Raises ProtocolError where its sequence number, epoch or transaction does not fit; StorageError.
        """
        self._check_open(log)
        appended = log.append((batch,), now_ms=now_ms, leader_epoch=LEADER_EPOCH, headers=(header,))
        if awaited or self._waiting.watched(log):
            self._later.pop(log, None)
            self._commits.kick(log)
        else:
            self._sync_later(log, header.size_bytes)
        return appended

    def _sync_later(self, log: PartitionLog, size_bytes: int) -> None:
        size_bytes += self._later.get(log, 0)
        if size_bytes >= LATER_BYTES:
            self._later.pop(log, None)
            self._commits.kick(log)
            return
        self._later[log] = size_bytes
        if self._timer is None:
            self._timer = self._loop.call_later(LATER_S, self._kick_later_ones)

    def hurry(self, log: PartitionLog) -> None:
        """Somebody waits for what was appended to `log`."""
        if log.flushed_offset < log.end_offset and log.failure is None:
            self._later.pop(log, None)
            self._commits.kick(log)

    def _kick_later_ones(self) -> None:
        self._timer = None
        later, self._later = self._later, {}
        for log in later:
            self._commits.kick(log)

    def append_marker(
        self, log: PartitionLog, producer_id: int, producer_epoch: int, *, commit: bool, coordinator_epoch: int
    ) -> Appended:
        """Ends a producer's transaction in one log."""
        self._check_open(log)
        appended = log.append_marker(producer_id, producer_epoch, commit, coordinator_epoch, self._clock.now_ms())
        self._commits.kick(log)
        return appended

    def _check_open(self, log: PartitionLog) -> None:
        if self.closed:
            raise StorageError(f"{log.path} is being closed: nothing was appended")

    def all_on_disk(self, logs: Sequence[PartitionLog]) -> "asyncio.Future[None] | None":
        """Ends once all that these logs hold now is on disk, or their disks have failed; None if that is so already."""
        for log in logs:
            self.hurry(log)
        return self._waiting.all_flushed(logs)

    async def on_disk(self, log: PartitionLog, appended: Appended) -> None:
        """Returns once what was appended is on disk. Raises StorageError if it will never be."""
        await self._waiting.until_flushed(log, appended.last_offset + 1)
