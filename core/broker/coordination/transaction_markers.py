"""The outcome of transactions, written into the partitions that they are in. Shell.

A marker may be written again after a crash or a failed attempt; the second one ends nothing and does no harm.
Tested in tests/core/broker/test_transactions.py.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial

from ...coordinators.transaction_commands import Outcome
from ...coordinators.transaction_records import Partition
from ...errors import ErrorCode, ProtocolError, StorageError
from ...log.appends import Appended
from ...log.partition_log import PartitionLog
from ..data_plane.journal import Journal
from ..data_plane.leadership import LEADER_EPOCH
from ..data_plane.waiting import Waiting
from .internal_topics import OFFSETS_TOPIC

LOG = logging.getLogger(__name__)
BETWEEN_TURNS = 50
"""Markers that are appended before others get their turn."""

Written = Callable[[tuple[Partition, ...]], None]
"""Told the partitions that could not be reached, once the markers in all others are on disk."""
OffsetsEnded = Callable[[int, int, bool], None]
"""Told partition of __consumer_offsets, producer id and whether it commits, when a marker is in that partition."""


class MarkerWriter:
    """Appends markers, and waits until they are on disk."""

    def __init__(
        self,
        partition: Callable[[str, int], PartitionLog],
        journal: Journal,
        waiting: Waiting,
        offsets_ended: OffsetsEnded,
    ) -> None:
        self._partition = partition
        self._journal = journal
        self._waiting = waiting
        self._offsets_ended = offsets_ended

    def write(self, outcome: Outcome, written: Written) -> None:
        """One marker for each partition of `outcome`; calls back in every case, perhaps at once."""
        _Writing(outcome, written, self).go_on()

    def wait(self, log: PartitionLog, end_offset: int, flushed: Callable[[StorageError | None], None]) -> None:
        self._waiting.when_flushed(log, end_offset, flushed)

    def append(self, outcome: Outcome, topic: str, partition: int) -> "tuple[PartitionLog, int] | StorageError | None":
        """The log and its end behind the marker; None where nothing has to be written, an error to try again."""
        try:
            log = self._partition(topic, partition)
        except ProtocolError:
            LOG.info("%s: %s-%d is deleted, it needs no marker", outcome.transactional_id, topic, partition)
            return None
        try:
            appended = self._write(log, outcome)
        except StorageError as error:
            LOG.error("%s: no marker in %s-%d yet: %s", outcome.transactional_id, topic, partition, error)
            return error
        except ProtocolError as error:
            if error.code is not ErrorCode.INVALID_PRODUCER_EPOCH:
                raise
            # A newer epoch has written there, which it may only after this transaction had ended.
            LOG.warning("%s: marker for %s-%d not needed: %s", outcome.transactional_id, topic, partition, error)
            return None
        if topic == OFFSETS_TOPIC:
            self._offsets_ended(partition, outcome.producer_id, outcome.commit)
        return log, appended.last_offset + 1

    def _write(self, log: PartitionLog, outcome: Outcome) -> Appended:
        try:
            return self._write_as(log, outcome, LEADER_EPOCH)
        except ProtocolError as error:
            if error.code is not ErrorCode.TRANSACTION_COORDINATOR_FENCED:
                raise
        # The log comes from a cluster where coordinators changed, or a marker was written by hand. There is one
        # coordinator now: it takes the epoch that was seen last.
        producer = log.producer(outcome.producer_id)
        assert producer is not None, f"{log} fences a coordinator for a producer that it does not know"
        return self._write_as(log, outcome, producer.coordinator_epoch)

    def _write_as(self, log: PartitionLog, outcome: Outcome, coordinator_epoch: int) -> Appended:
        return self._journal.append_marker(
            log,
            outcome.producer_id,
            outcome.producer_epoch,
            commit=outcome.commit,
            coordinator_epoch=coordinator_epoch,
        )


class _Writing:
    """One outcome until its markers are on disk."""

    __slots__ = ("_failed", "_left", "_outcome", "_partitions", "_writer", "_written")

    def __init__(self, outcome: Outcome, written: Written, writer: MarkerWriter) -> None:
        self._outcome = outcome
        self._written = written
        self._writer = writer
        self._partitions = iter(outcome.partitions)
        self._failed: list[Partition] = []
        self._left = 1

    def go_on(self) -> None:
        """Appends some markers, and the others when it is the turn of this again."""
        step = list(itertools.islice(self._partitions, BETWEEN_TURNS))
        for where in step:
            appended = self._writer.append(self._outcome, *where)
            if isinstance(appended, StorageError):
                self._failed.append(where)
            elif appended is not None:
                self._left += 1
                self._writer.wait(*appended, partial(self._flushed, where))
        if len(step) < BETWEEN_TURNS:
            self._one_less()
        else:
            asyncio.get_running_loop().call_soon(self.go_on)

    def _flushed(self, where: Partition, failure: StorageError | None) -> None:
        if failure is not None:
            LOG.error("%s: marker in %s-%d is lost: %s", self._outcome.transactional_id, *where, failure)
            self._failed.append(where)
        self._one_less()

    def _one_less(self) -> None:
        self._left -= 1
        if not self._left:
            self._written(tuple(self._failed))
