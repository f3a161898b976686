"""The compacted topics that coordinators keep their state in: where a key lives, and the replay at a start. Shell.

Tested in tests/core/broker/test_internal_topics.py.
"""

import logging
from collections.abc import Callable, Iterator
from functools import lru_cache

from ...errors import CorruptRecords, ErrorCode, ProtocolError, StorageError
from ...log.partition_log import PartitionLog
from ...ports import Buffer
from ...wire.batches import BatchHeader, SimpleRecord, iter_batches, read_records

LOG = logging.getLogger(__name__)

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
REPLAY_BYTES = 1024 * 1024
KEPT_CHARACTERS = 250
"""Of ids whose hashes are kept: what many long ones would take is not bounded by their number."""


class InternalTopic:
    """One of the coordinators' topics. `partition_count` is fixed once the topic exists."""

    def __init__(self, name: str, partition_count: int, partition: Callable[[str, int], PartitionLog]) -> None:
        self.name = name
        self.partition_count = partition_count
        self._partition = partition

    def partition_for(self, key: str) -> int:
        """The partition that holds the state of a group or transactional id."""
        code = java_string_hash(key)
        return (0 if code == -(1 << 31) else abs(code)) % self.partition_count

    def log(self, partition: int) -> PartitionLog:
        """The log of one partition. Raises ProtocolError COORDINATOR_NOT_AVAILABLE when the topic is not there."""
        try:
            return self._partition(self.name, partition)
        except ProtocolError as error:
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{self.name}-{partition} is not there") from error

    def replay(
        self, partition: int, from_offset: int | None = None
    ) -> Iterator[tuple[BatchHeader, list[SimpleRecord]]]:
        """Every batch of a partition from its start, or the one that holds an offset, to its end, control batches too.

        What is damaged is left out and reported: the state that it held is lost, all other is not. Raises StorageError.
        """
        log = self.log(partition)
        offset = log.log_start_offset if from_offset is None else from_offset
        while offset < log.end_offset:
            try:
                read = log.read(offset, max_bytes=REPLAY_BYTES, max_offset=log.end_offset)
            except CorruptRecords as error:
                offset = _behind_damage(log, offset, error)
                continue
            for data in read.data:
                at = 0
                for header in iter_batches(data):
                    records = _readable(log, header, data, at)
                    if records is not None:
                        yield header, records
                    at += header.size_bytes
            if read.next_offset <= offset:
                return  # Compaction by older versions of Kafka may leave no batch at a log's end.
            offset = read.next_offset


def is_absent(error: Exception) -> bool:
    """Whether a log is not there yet, as a full disk has kept it from being made: it will have nothing to be read."""
    return isinstance(error, ProtocolError) and error.code is ErrorCode.COORDINATOR_NOT_AVAILABLE


def _behind_damage(log: PartitionLog, offset: int, error: CorruptRecords) -> int:
    """Where to read on. Raises StorageError when that is not known."""
    for damage in log.damaged:
        if damage.first_offset <= offset < damage.next_offset:
            LOG.error("%s-%d: what was written there is lost: %s", log.topic, log.partition, error)
            return damage.next_offset
    raise StorageError(f"{log.topic}-{log.partition}: {error}") from error


def _readable(log: PartitionLog, header: BatchHeader, data: Buffer, at: int) -> list[SimpleRecord] | None:
    try:
        return read_records(data, at)
    except CorruptRecords as error:
        LOG.error(
            "%s-%d: offsets %d to %d are lost: %s",
            log.topic, log.partition, header.base_offset, header.last_offset, error,
        )  # fmt: skip
        return None


def java_string_hash(text: str) -> int:
    """Java's String.hashCode: signed 32 bits over UTF-16 code units. What comes again and again is kept."""
    return _kept_hash(text) if len(text) <= KEPT_CHARACTERS else _hash(text)


def _hash(text: str) -> int:
    code = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        code = (31 * code + (units[at] << 8 | units[at + 1])) & 0xFFFFFFFF
    return code - (1 << 32) if code & 0x80000000 else code


_kept_hash = lru_cache(maxsize=1024)(_hash)
