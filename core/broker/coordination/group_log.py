"""__consumer_offsets as the group coordinators' memory: their records appended and applied, and replayed. Shell.

Tested in tests/core/broker/test_groups.py.
"""

import struct
from collections.abc import Sequence

from ...coordinators.group_codec import decode_record, encode_record
from ...coordinators.group_records import GroupRecord
from ...coordinators.groups import GroupCoordinator
from ...errors import ErrorCode, ProtocolError
from ...log.partition_log import PartitionLog
from ...ports import Clock
from ...wire.batches import COMMIT_MARKER, NO_PRODUCER_ID, BatchHeader, SimpleRecord, build_batch
from ..data_plane.journal import Journal
from .internal_topics import InternalTopic

RECORDS_PER_BATCH = 1_000
_MARKER_KEY = struct.Struct(">hh")


class GroupLog:
    """The partitions of __consumer_offsets."""

    def __init__(self, topic: InternalTopic, journal: Journal, clock: Clock) -> None:
        self._topic = topic
        self._journal = journal
        self._clock = clock

    @property
    def partition_count(self) -> int:
        return self._topic.partition_count

    def partition_for(self, group_id: str) -> int:
        return self._topic.partition_for(group_id)

    def log(self, partition: int) -> PartitionLog:
        """Raises ProtocolError COORDINATOR_NOT_AVAILABLE when the topic is not there."""
        return self._topic.log(partition)

    def append(
        self,
        partition: int,
        coordinator: GroupCoordinator,
        records: Sequence[GroupRecord],
        producer: tuple[int, int] | None,
    ) -> None:
        """Appends records, in a producer's (id, epoch) transaction or None, and applies them.

        Raises ProtocolError, StorageError or WireError, and then nothing is appended.
        """
        log = self.log(partition)
        batches = [
            self._batch(log, records[first : first + RECORDS_PER_BATCH], producer)
            for first in range(0, len(records), RECORDS_PER_BATCH)
        ]
        base_offset = self._journal.append(log, batches).base_offset
        for position, record in enumerate(records, base_offset):
            coordinator.apply(record, position=position, producer_id=producer[0] if producer else None)

    def _batch(self, log: PartitionLog, records: Sequence[GroupRecord], producer: tuple[int, int] | None) -> bytes:
        now_ms = self._clock.now_ms()
        producer_id, producer_epoch = producer or (NO_PRODUCER_ID, -1)
        batch = build_batch(
            [SimpleRecord(0, now_ms, *encode_record(record)) for record in records],
            timestamp_ms=now_ms,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            transactional=producer is not None,
        )
        if len(batch) > log.config.max_message_bytes:
            raise ProtocolError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"{len(records)} records have {len(batch)} bytes; max.message.bytes is {log.config.max_message_bytes}",
            )
        return batch

    def load(self, partition: int, coordinator: GroupCoordinator) -> None:
        """Replays one partition into a coordinator. Raises StorageError, WireError or CorruptRecords."""
        for header, records in self._topic.replay(partition):
            if header.is_control:
                for record in records:
                    _apply_marker(coordinator, header, record)
                continue
            producer_id = header.producer_id if header.is_transactional else None
            for record in records:
                stored = decode_record(record.key or b"", record.value)
                if stored is not None:
                    coordinator.apply(stored, position=record.offset, producer_id=producer_id)


def _apply_marker(coordinator: GroupCoordinator, header: BatchHeader, record: SimpleRecord) -> None:
    if record.key is not None and len(record.key) >= _MARKER_KEY.size:
        _, kind = _MARKER_KEY.unpack_from(record.key)
        coordinator.apply_marker(header.producer_id, commit=kind == COMMIT_MARKER)
