"""One partition of a fetch: the batches that a consumer may see from an offset on, or the reason that there are
none. Shell.

Source: UnifiedLog.read, ReplicaManager.readFromLog, DelayedFetch and Partition.fetchRecords of Kafka 4.3.1. Tested in
tests/core/broker/test_fetch.py.
"""

import logging
from typing import cast

from ...errors import CorruptRecords, ErrorCode, ProtocolError, StorageError
from ...log.directory import LogDirectory
from ...log.partition_log import PartitionLog
from ...ports import Buffer
from ...wire.messages.k01_fetch import FetchResponse
from .fetch_sessions import FetchedPartition
from .leadership import LEADER_EPOCH, check_leader_epoch, epoch_end

LOG = logging.getLogger(__name__)
UNKNOWN_EPOCH = -1
_UNKNOWN = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID)
_REFUSALS = (ProtocolError, CorruptRecords, StorageError)


class PartitionRead:
    """Reads into `answer`, as often as asked.

    `conclusive` is True when the client should be told without waiting for more data.
    """

    __slots__ = ("_behind", "_committed_only", "_leave_in_file", "_logs", "answer", "conclusive", "log", "part")

    def __init__(self, part: FetchedPartition, logs: LogDirectory) -> None:
        self.part = part
        self._logs = logs
        self._committed_only = False
        self._leave_in_file = False
        self._behind: tuple[int, int] | None = None
        """First offset of the log, and its bytes before the place to read from, where they are known."""
        self.log: PartitionLog | None = None
        self.conclusive = False
        self.answer: FetchResponse.PartitionData | None = None
        """None while there is nothing that a client of a session would not know."""

    def begin(self, log: PartitionLog | None, error: ErrorCode, *, committed_only: bool, leave_in_file: bool) -> None:
        """For one request. error: why there is nothing to be read. leave_in_file: as of PartitionLog.read."""
        self.log = log
        self._behind = None
        self._committed_only = committed_only
        self._leave_in_file = leave_in_file
        self.conclusive = log is not None and error != ErrorCode.NONE
        self.answer = self._empty(error) if error != ErrorCode.NONE else None
        if error != ErrorCode.NONE:
            self.log = None

    def read(self, max_bytes: int, *, first: bool, news_only: bool) -> int:
        """Reads at most `max_bytes`, or one batch however large when it is the first of the answer.

        Returns what this takes of the request's limit: as with Kafka all of it where the limit cuts a batch, though
        only whole ones are sent. news_only: leaves the answer out where the client knows it already.
        """
        log = self.log
        if log is None:
            return 0
        if news_only and self._is_known(log):
            self.answer = None
            return 0
        self.answer = answer = self._empty(ErrorCode.NONE)
        try:
            limit = self._limit(log, answer)
            if limit <= self.part.wanted.fetch_offset or (max_bytes <= 0 and not first):
                return 0
            return self._read(log, limit, min(max_bytes, self.part.wanted.partition_max_bytes), first)
        except _REFUSALS as error:
            self._refuse(log, error)
            return 0

    def give_answer(self) -> FetchResponse.PartitionData | None:
        """The answer, to whoever sends it: what stays with a session holds no records."""
        answer, self.answer = self.answer, None
        return answer

    def available(self) -> int:
        """Bytes that a client who asks for this partition only could read now, whole batches or not; it may have less
        room."""
        log = self.log
        if log is None:
            return 0
        most = self.part.wanted.partition_max_bytes
        offset = self.part.wanted.fetch_offset
        try:
            limit = self._limit(log, self._empty(ErrorCode.NONE))
            if limit <= offset:
                return 0
            found = log.read(offset, max_bytes=most, max_offset=limit, leave_in_file=True)
        except _REFUSALS:
            self.conclusive = True
            return 0
        if found.rolled:
            self.conclusive = True
        if found.next_offset < limit:
            return most
        if limit == log.end_offset:
            self._behind = log.log_start_offset, log.size_bytes - found.size_bytes
        return min(found.size_bytes, most)

    def may_have(self, size_bytes: int) -> bool:
        """Whether it is worth while to count what is available: False only where it is less than `size_bytes`."""
        log = self.log
        if log is None:
            return False
        if log.failure is not None:
            return True
        limit = log.last_stable_offset if self._committed_only else log.high_watermark
        if limit <= self.part.wanted.fetch_offset:
            return False
        if self._behind is None or self._behind[0] != log.log_start_offset:
            return True
        return log.size_bytes - self._behind[1] >= size_bytes

    def _is_known(self, log: PartitionLog) -> bool:
        part = self.part
        wanted = part.wanted
        high_watermark = log.high_watermark
        return (
            part.high_watermark == high_watermark
            and part.log_start_offset == log.log_start_offset <= wanted.fetch_offset <= log.end_offset
            and log.failure is None
            and wanted.current_leader_epoch in (UNKNOWN_EPOCH, LEADER_EPOCH)
            and wanted.last_fetched_epoch in (UNKNOWN_EPOCH, log.leader_epoch)
            and (log.last_stable_offset if self._committed_only else high_watermark) <= wanted.fetch_offset
        )

    def _limit(self, log: PartitionLog, answer: FetchResponse.PartitionData) -> int:
        """The offset below which may be read; what is known of the log goes into the answer."""
        wanted = self.part.wanted
        if log.failure is not None:
            raise log.failure
        check_leader_epoch(wanted.current_leader_epoch)
        answer.high_watermark = log.high_watermark
        answer.last_stable_offset = log.last_stable_offset
        answer.log_start_offset = log.log_start_offset
        if wanted.last_fetched_epoch != UNKNOWN_EPOCH and self._diverges(log, answer):
            self.conclusive = True
            return -1
        if not log.log_start_offset <= wanted.fetch_offset <= log.end_offset:
            raise ProtocolError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{log.log_start_offset} to {log.end_offset} are there")
        return answer.last_stable_offset if self._committed_only else answer.high_watermark

    def _read(self, log: PartitionLog, limit: int, max_bytes: int, first: bool) -> int:
        assert self.answer is not None
        found = log.read(
            self.part.wanted.fetch_offset, max_bytes=max_bytes, max_offset=limit, min_one=first,
            leave_in_file=self._leave_in_file,
        )  # fmt: skip
        # A range of a file passes through the codec as a buffer does: only its length is asked for.
        unread = () if found.unread is None else (cast(Buffer, found.unread),)
        self.answer.records = [*unread, *found.data]
        if not found.size_bytes:
            self.answer.aborted_transactions = None
        elif self._committed_only:
            self.answer.aborted_transactions = [
                FetchResponse.AbortedTransaction(producer_id=one.producer_id, first_offset=one.first_offset)
                for one in found.aborted
            ]
        cut = found.size_bytes and found.next_offset < limit and not found.rolled
        return max(found.size_bytes, max_bytes) if cut else found.size_bytes

    def _empty(self, error: ErrorCode) -> FetchResponse.PartitionData:
        with_aborted = error in _UNKNOWN or (self._committed_only and error == ErrorCode.NONE)
        return FetchResponse.PartitionData(
            partition_index=self.part.wanted.partition,
            error_code=int(error),
            high_watermark=-1,
            aborted_transactions=[] if with_aborted else None,
            records=b"",
        )

    def _refuse(self, log: PartitionLog, error: ProtocolError | CorruptRecords | StorageError) -> None:
        code = error.code if isinstance(error, ProtocolError) else self._storage_error(log, error)
        self.answer = self._empty(code)
        self.conclusive = True

    def _storage_error(self, log: PartitionLog, error: CorruptRecords | StorageError) -> ErrorCode:
        if self._logs.get((log.topic, log.partition)) is not log:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION  # Deleted while the client was waiting.
        LOG.error("%s-%d at offset %d: %s", log.topic, log.partition, self.part.wanted.fetch_offset, error)
        return ErrorCode.KAFKA_STORAGE_ERROR

    def _diverges(self, log: PartitionLog, answer: FetchResponse.PartitionData) -> bool:
        """KIP-595: a client whose last batch is of an epoch that ended before its position has read what was cut off
        since."""
        wanted = self.part.wanted
        epoch, end_offset = epoch_end(log, wanted.last_fetched_epoch)
        if end_offset < 0:
            raise ProtocolError(
                ErrorCode.OFFSET_OUT_OF_RANGE, f"nothing is known of leader epoch {wanted.last_fetched_epoch}"
            )
        if wanted.fetch_offset < log.log_start_offset:
            raise ProtocolError(ErrorCode.OFFSET_OUT_OF_RANGE, f"the log begins at {log.log_start_offset}")
        if epoch == wanted.last_fetched_epoch and end_offset >= wanted.fetch_offset:
            return False
        answer.aborted_transactions = None
        answer.diverging_epoch = FetchResponse.EpochEndOffset(epoch=epoch, end_offset=end_offset)
        return True
