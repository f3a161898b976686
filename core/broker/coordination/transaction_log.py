"""__transaction_state as the transaction coordinator's memory: records appended and applied, and replayed. Shell.

The topic is made when the first producer asks for a transactional id. Tested in tests/core/broker/test_transactions.py.
"""

import logging
from collections.abc import Callable, Sequence

from ...coordinators.transaction_codec import decode_record, encode_record
from ...coordinators.transaction_records import TransactionRecord
from ...coordinators.transactions import TransactionCoordinator
from ...errors import CorruptRecords, ErrorCode, ProtocolError, StorageError, WireError
from ...log.partition_log import PartitionLog
from ...ports import Clock
from ...wire.batches import SimpleRecord, build_batch
from ..data_plane.journal import Journal
from ..topics.cluster import ClusterShell
from .internal_topics import TRANSACTIONS_TOPIC, InternalTopic, is_absent

LOG = logging.getLogger(__name__)
RECORDS_PER_BATCH = 1_000


class TransactionLog:
    """The partitions of __transaction_state; a transactional id lives in one of them."""

    def __init__(
        self, cluster: ClusterShell, journal: Journal, partition: Callable[[str, int], PartitionLog], clock: Clock
    ) -> None:
        self._cluster = cluster
        self._journal = journal
        self._partition = partition
        self._clock = clock
        self._topic: InternalTopic | None = None
        self._unreadable: set[int] = set()

    def load(self, coordinator: TransactionCoordinator) -> None:
        """Replays what is there. A partition that cannot be read stays away, with all ids in it."""
        info = self._cluster.topic(TRANSACTIONS_TOPIC)
        if info is None:
            return
        self._topic = InternalTopic(TRANSACTIONS_TOPIC, info.partitions, self._partition)
        for partition in range(info.partitions):
            try:
                records = self._read(self._topic, partition)
            except (ProtocolError, StorageError, WireError, CorruptRecords) as error:
                LOG.error("%s-%d cannot be loaded: %s", TRANSACTIONS_TOPIC, partition, error)
                if not is_absent(error):
                    self._unreadable.add(partition)
                continue
            for record in records:
                coordinator.apply(record)

    def _read(self, topic: InternalTopic, partition: int) -> list[TransactionRecord]:
        found: list[TransactionRecord] = []
        for header, records in topic.replay(partition):
            for record in () if header.is_control else records:
                known = decode_record(record.key or b"", record.value)
                if known is not None:
                    found.append(known)
        return found

    async def ensure(self) -> None:
        """Makes the topic when it is not there. Raises ProtocolError, StorageError."""
        if self._topic is None:
            info = await self._cluster.ensure_internal_topic(TRANSACTIONS_TOPIC)
            self._topic = InternalTopic(TRANSACTIONS_TOPIC, info.partitions, self._partition)

    def of(self, transactional_id: str) -> PartitionLog | None:
        """The log that an id lives in; None while there is no topic, and so no id.

        Raises ProtocolError COORDINATOR_NOT_AVAILABLE where it could not be read.
        """
        if self._topic is None:
            return None
        partition = self._topic.partition_for(transactional_id)
        if partition in self._unreadable:
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{TRANSACTIONS_TOPIC}-{partition} is not loaded")
        return self._topic.log(partition)

    def append(self, log: PartitionLog, records: Sequence[TransactionRecord]) -> None:
        """Raises ProtocolError or StorageError, and then nothing is appended."""
        now_ms = self._clock.now_ms()
        for first in range(0, len(records), RECORDS_PER_BATCH):
            part = records[first : first + RECORDS_PER_BATCH]
            simple = [SimpleRecord(0, now_ms, *encode_record(record)) for record in part]
            self._journal.append(log, [build_batch(simple, timestamp_ms=now_ms)])
