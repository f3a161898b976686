"""Appends to partition logs, and the wait until they are on disk. Shell.

Every append is followed by a kick of the group commit, so that the high watermark follows it.
Tested in tests/core/broker/test_produce.py.
"""

from collections.abc import Sequence

from ..log.group_commit import GroupCommit
from ..log.partition_log import Appended, PartitionLog
from ..ports import Buffer, Clock
from ..wire.batches import BatchHeader
from .leadership import LEADER_EPOCH
from .waiting import Waiting


class Journal:
    """The one way by which clients' batches and the coordinators' own get into a log."""

    def __init__(self, commits: GroupCommit, waiting: Waiting, clock: Clock) -> None:
        self._commits = commits
        self._waiting = waiting
        self._clock = clock

    def append(self, log: PartitionLog, batches: Sequence[Buffer]) -> Appended:
        """Appends batches of the broker's own, which have no sequence numbers. Raises ProtocolError, StorageError."""
        appended = log.append(batches, now_ms=self._clock.now_ms(), coordinator=True)
        self._commits.kick(log)
        return appended

    def append_produced(self, log: PartitionLog, batch: Buffer, header: BatchHeader, now_ms: int) -> Appended:
        """Appends a client's checked batch: it is in the page cache then, and on its way to the disk.

        Raises ProtocolError where its sequence number, epoch or transaction does not fit; StorageError.
        """
        appended = log.append((batch,), now_ms=now_ms, leader_epoch=LEADER_EPOCH, headers=(header,))
        self._commits.kick(log)
        return appended

    def append_marker(
        self, log: PartitionLog, producer_id: int, producer_epoch: int, *, commit: bool, coordinator_epoch: int
    ) -> Appended:
        """Ends a producer's transaction in one log."""
        appended = log.append_marker(producer_id, producer_epoch, commit, coordinator_epoch, self._clock.now_ms())
        self._commits.kick(log)
        return appended

    async def on_disk(self, log: PartitionLog, appended: Appended) -> None:
        """Returns once what was appended is on disk. Raises StorageError if it will never be."""
        await self._waiting.until_flushed(log, appended.last_offset + 1)
