"""One partition of a fetch: the batches that a consumer may see from an offset on, or the reason that there are
none. Shell.

Source: UnifiedLog.read, ReplicaManager.readFromLog and Partition.fetchRecords of Kafka 4.3.1. Tested in
tests/core/broker/test_fetch.py.
"""

import logging

from ..errors import CorruptRecords, ErrorCode, ProtocolError, StorageError
from ..log.directory import LogDirectory
from ..log.partition_log import PartitionLog
from ..wire.messages.k01_fetch import FetchRequest, FetchResponse
from .leadership import check_leader_epoch

LOG = logging.getLogger(__name__)
UNKNOWN_EPOCH = -1


class PartitionRead:
    """Reads into `answer`, as often as asked. `conclusive` is True when the client should be told without waiting
    for data."""

    __slots__ = ("_committed_only", "_logs", "_wanted", "answer", "conclusive", "log")

    def __init__(
        self,
        wanted: FetchRequest.FetchPartition,
        logs: LogDirectory,
        log: PartitionLog | None,
        *,
        committed_only: bool,
        error: ErrorCode = ErrorCode.NONE,
    ) -> None:
        self._logs = logs
        self.log = log
        self.conclusive = log is None
        self.answer = FetchResponse.PartitionData(
            partition_index=wanted.partition,
            error_code=int(error),
            high_watermark=-1,
            aborted_transactions=[] if committed_only else None,
            records=b"",
        )
        self._wanted = wanted
        self._committed_only = committed_only

    def read(self, max_bytes: int, *, first: bool) -> int:
        """Reads at most `max_bytes`, or one batch however large when it is the first of the answer; returns the
        bytes read."""
        if self.log is None:
            return 0
        answer = self.answer
        try:
            return self._read(self.log, min(max_bytes, self._wanted.partition_max_bytes), first)
        except ProtocolError as error:
            answer.error_code = int(error.code)
        except (CorruptRecords, StorageError) as error:
            answer.error_code = int(self._storage_error(self.log, error))
        answer.records = b""
        answer.high_watermark = -1
        self.conclusive = True
        return 0

    def _read(self, log: PartitionLog, max_bytes: int, first: bool) -> int:
        wanted = self._wanted
        answer = self.answer
        if log.failure is not None:
            raise log.failure
        check_leader_epoch(wanted.current_leader_epoch)
        answer.high_watermark = log.high_watermark
        answer.last_stable_offset = log.last_stable_offset
        answer.log_start_offset = log.log_start_offset
        if self._diverges(log):
            return 0
        limit = answer.last_stable_offset if self._committed_only else answer.high_watermark
        offset = wanted.fetch_offset
        if not log.log_start_offset <= offset <= log.end_offset:
            raise ProtocolError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{log.log_start_offset} to {log.end_offset} are there")
        if offset >= limit or (max_bytes <= 0 and not first):
            answer.records = b""
            return 0
        found = log.read(offset, max_bytes=max_bytes, max_offset=limit, min_one=first)
        answer.records = found.data
        if self._committed_only:
            answer.aborted_transactions = [
                FetchResponse.AbortedTransaction(producer_id=one.producer_id, first_offset=one.first_offset)
                for one in found.aborted
            ]
        return sum(map(len, found.data))

    def _storage_error(self, log: PartitionLog, error: CorruptRecords | StorageError) -> ErrorCode:
        if self._logs.get((log.topic, log.partition)) is not log:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION  # Deleted while the client was waiting.
        LOG.error("%s-%d at offset %d: %s", log.topic, log.partition, self._wanted.fetch_offset, error)
        return ErrorCode.KAFKA_STORAGE_ERROR

    def _diverges(self, log: PartitionLog) -> bool:
        """KIP-595: a client whose last batch is of an epoch that ended before its position has read what was cut off
        since."""
        wanted = self._wanted
        if wanted.last_fetched_epoch == UNKNOWN_EPOCH:
            return False
        epoch, end_offset = log.epoch_end_offset(wanted.last_fetched_epoch)
        if end_offset < 0:
            raise ProtocolError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"nothing is known of leader epoch {wanted.last_fetched_epoch}"
            )
        if epoch == wanted.last_fetched_epoch and end_offset >= wanted.fetch_offset:
            return False
        self.answer.diverging_epoch = FetchResponse.EpochEndOffset(epoch=epoch, end_offset=end_offset)
        self.answer.records = b""
        self.conclusive = True
        return True
