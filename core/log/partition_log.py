"""The log of one partition: appends, reads, transactions, retention. Shell over Segment; the rules are pure modules.

Threads: append, roll and retention belong to one thread, the broker's loop; flush() and tidy() are the committer's.
Reads may come from any: segments are replaced as a whole, `end_offset` is set last. Nothing counts before flush() has
synced it: the high watermark, and with it every reader, stays at what is on the medium.
Tested in tests/core/log/test_partition_log.py, test_transactions.py and by simulation in test_crashes.py.
"""

import logging
import struct
from collections.abc import Sequence

from ..config import LogConfig
from ..errors import ErrorCode, ProtocolError, StorageError
from ..ports import Buffer, Disk
from ..wire.batches import LOG_OVERHEAD, BatchHeader, build_control_marker, read_header
from .appends import NO_TIMESTAMP, Appended, stamped
from .checkpoints import format_epochs, format_partition_metadata
from .compaction.compaction import CleanedGroup
from .compaction.segment_swap import swap_in
from .file_names import LEADER_EPOCHS, PARTITION_METADATA
from .flushing import Flusher
from .loading import LoadedLog
from .log_reader import LogReader, ReadResult
from .producers.producer_snapshot import encode_snapshot
from .producers.producer_state import Producer
from .producers.transaction_index import AbortedTransaction
from .rules import deletable_segments
from .segments.batch_search import Wanted
from .segments.segment import Segment
from .segments.segment_list import SegmentList

logger = logging.getLogger(__name__)

PLACE = struct.Struct(">qii")
PLACE_BYTES = PLACE.size
LOG_APPEND_TIME = "LogAppendTime"


class PartitionLog:
    """Made by LogDirectory. Offsets: log_start_offset <= last_stable_offset <= high_watermark <= end_offset."""

    def __init__(
        self, topic: str, partition: int, topic_id: bytes, config: LogConfig, disk: Disk, path: str, loaded: LoadedLog
    ) -> None:
        self.topic = topic
        self.partition = partition
        self._topic_id = topic_id
        self.config = config
        self.path = path
        self.damaged = loaded.damaged
        self.end_offset = loaded.end_offset
        self.log_start_offset = loaded.log_start_offset
        self._disk = disk
        self._producers = loaded.producers
        self._epochs = loaded.epochs
        self._flusher = Flusher(
            disk, path, flushed_offset=loaded.end_offset, new_files=loaded.new_files, complete=loaded.complete
        )
        self.segments = SegmentList(loaded.segments, self._flusher)
        self._snapshot_at = (self.segments.active.base_offset, self.segments.active.size_bytes)
        self._reader = LogReader(disk, path, self._flusher, self._epochs, loaded.damaged)

    def __repr__(self) -> str:
        return f"PartitionLog({self.topic}-{self.partition}, {self.log_start_offset}..{self.end_offset})"

    # What is known of the log.

    @property
    def topic_id(self) -> bytes:
        return self._topic_id

    @topic_id.setter
    def topic_id(self, topic_id: bytes) -> None:
        """Correct the id of a log that lost it in a crash; the next flush writes it down."""
        if topic_id != self._topic_id:
            self._topic_id = topic_id
            self._flusher.add_file(PARTITION_METADATA, format_partition_metadata(topic_id))

    @property
    def flushed_offset(self) -> int:
        """Everything below it is on the medium."""
        return self._flusher.flushed_offset

    @property
    def high_watermark(self) -> int:
        """Everything below it may be read by consumers. There are no other replicas to wait for."""
        return self._flusher.flushed_offset

    @property
    def last_stable_offset(self) -> int:
        """Everything below it may be read by those who want committed records only."""
        high_watermark = self._flusher.flushed_offset
        unstable = self._producers.first_unstable_offset(high_watermark)
        return high_watermark if unstable is None else min(unstable, high_watermark)

    @property
    def recovery_point(self) -> int:
        """Where a scan after a crash has to begin."""
        return self._flusher.recovery_point

    @property
    def failure(self) -> StorageError | None:
        """Why the log is offline, None while it is not."""
        return self._flusher.failure

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.segments.layout.segments)

    @property
    def leader_epoch(self) -> int:
        """The newest epoch in the log, -1 when there is none."""
        return self._epochs.latest

    def active_producers(self) -> list[Producer]:
        return self._producers.all()

    def producer(self, producer_id: int) -> Producer | None:
        """What is known of a producer; None for one that is not known."""
        return self._producers.get(producer_id)

    def forget_producers(self, now_ms: int, expiration_ms: int) -> None:
        """Drop what is known of producers that have been silent for so long, and have no open transaction."""
        self._producers.expire(now_ms, expiration_ms)

    def open_transactions(self) -> dict[int, int]:
        """First offset of each producer's open transaction."""
        return self._producers.open_transactions()

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above `epoch`, and where it ends; (-1, -1) when that is not known."""
        return self._epochs.end_offset(epoch, log_end_offset=self.end_offset)

    # Appending.

    def append(
        self,
        batches: Sequence[Buffer],
        *,
        now_ms: int,
        leader_epoch: int = 0,
        headers: Sequence[BatchHeader] | None = None,
        coordinator: bool = False,
    ) -> Appended:
        """Append whole batches, whose checksums were checked, in one write; they get the next offsets.

        headers: those of the batches, when they were read already. coordinator: batches of the broker's own, which have
        no sequence numbers. The buffers are left as they are. Raises StorageError when the disk is full or has failed,
        ProtocolError MESSAGE_TOO_LARGE, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH or INVALID_TXN_STATE.
        """
        if headers is None:
            headers = [read_header(batch) for batch in batches]
        for header in headers:
            if header.length + LOG_OVERHEAD > self.config.max_message_bytes and not coordinator:
                raise ProtocolError(
                    ErrorCode.MESSAGE_TOO_LARGE,
                    f"a batch of {header.size_bytes} bytes; max.message.bytes is {self.config.max_message_bytes}",
                )
        duplicate = self._check_producers(headers, coordinator)
        if duplicate is not None:
            return duplicate
        time_ms = NO_TIMESTAMP
        if self.config.message_timestamp_type == LOG_APPEND_TIME:
            time_ms = now_ms
            batches, headers = stamped(batches, now_ms)
        return self._write(batches, headers, leader_epoch, time_ms)

    def append_marker(
        self, producer_id: int, producer_epoch: int, commit: bool, coordinator_epoch: int, now_ms: int
    ) -> Appended:
        """End the producer's transaction in this log with a marker; without an open one the marker is written too.

        Raises ProtocolError (INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED), StorageError.
        """
        self._producers.check_marker(producer_id, producer_epoch, coordinator_epoch)
        batch = build_control_marker(commit, producer_id, producer_epoch, coordinator_epoch, now_ms)
        appended = self._write([batch], [read_header(batch)], max(self._epochs.latest, 0), NO_TIMESTAMP)
        aborted = self._producers.apply_marker(
            producer_id, producer_epoch, coordinator_epoch, commit=commit, offset=appended.base_offset,
            timestamp_ms=now_ms, high_watermark=self.high_watermark,
        )  # fmt: skip
        if aborted is not None:
            self.segments.active.note_aborted(aborted)
        return appended

    def _check_producers(self, headers: Sequence[BatchHeader], coordinator: bool) -> Appended | None:
        """The earlier append that these batches repeat, None when they are new. Raises ProtocolError."""
        states = self._producers
        for index, header in enumerate(headers):
            if header.producer_id < 0:
                continue
            if coordinator:
                states.check_epoch(header)
                continue
            stamp = states.check(header)
            if stamp is not None:
                stamped = self.config.message_timestamp_type == LOG_APPEND_TIME
                time_ms = stamp.timestamp_ms if stamped else NO_TIMESTAMP
                return Appended(stamp.first_offset, stamp.last_offset, time_ms, duplicate=True)
            if index + 1 < len(headers):
                states = states.with_batch(header)
        return None

    def _write(
        self, batches: Sequence[Buffer], headers: Sequence[BatchHeader], leader_epoch: int, time_ms: int
    ) -> Appended:
        failure = self._flusher.failure
        if failure is not None:
            raise failure
        base_offset = offset = self.end_offset
        buffers: list[Buffer] = []
        size_bytes = 0
        newest_ms = NO_TIMESTAMP
        for batch, header in zip(batches, headers, strict=True):
            buffers += PLACE.pack(offset, header.length, leader_epoch), memoryview(batch)[PLACE_BYTES:]
            size_bytes += header.length + LOG_OVERHEAD
            offset += header.last_offset_delta + 1
            if header.max_timestamp > newest_ms:
                newest_ms = header.max_timestamp
        segment = self.segments.layout.segments[-1]
        if not segment.takes(self.config, size_bytes, offset - 1, newest_ms):
            self.roll()
            segment = self.segments.active
        if leader_epoch != self._epochs.latest and self._epochs.assign(leader_epoch, base_offset):
            self._flusher.add_file(LEADER_EPOCHS, format_epochs(self._epochs.entries()))
        try:
            position = segment.append(buffers, size_bytes)
        except OSError as error:
            raise self._flusher.not_written(segment, error) from error
        self._note(segment, headers, base_offset, position)
        self.end_offset = offset
        return Appended(base_offset, offset - 1, time_ms)

    def _note(self, segment: Segment, headers: Sequence[BatchHeader], offset: int, position: int) -> None:
        for header in headers:
            size_bytes = header.length + LOG_OVERHEAD
            last_offset = offset + header.last_offset_delta
            segment.note_batch(position, size_bytes, last_offset, header.max_timestamp)
            if header.producer_id >= 0 and not header.is_control:
                self._producers.apply_data(header, offset)
            position += size_bytes
            offset = last_offset + 1

    def roll(self) -> None:
        """Begin a new segment at the log's end. Raises StorageError when it cannot be made."""
        if not self.segments.active.size_bytes:
            return
        try:
            segment = Segment.create(
                self._disk, self.path, self.end_offset, index_interval=self.config.index_interval_bytes
            )
        except OSError as error:
            raise StorageError(f"{self.path}: no segment can be made: {error}") from error
        self.segments.add(segment, encode_snapshot(self._producers.all()))

    # Reading.

    def read(
        self, offset: int, *, max_bytes: int, max_offset: int | None = None, min_one: bool = True,
        leave_in_file: bool = False,
    ) -> ReadResult:  # fmt: skip
        """Whole good batches from the one that holds `offset` on, below max_offset (the high watermark by default).

        At most max_bytes, from one segment; with min_one the first batch is read however large it is. leave_in_file:
        batches that are known to be good may be left to sendfile, as ranges of files.
        Raises ProtocolError OFFSET_OUT_OF_RANGE, CorruptRecords where a batch is damaged, StorageError.
        """
        if self._flusher.failure is not None:
            raise self._flusher.failure
        if not self.log_start_offset <= offset <= self.end_offset:
            raise ProtocolError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"{self.topic}-{self.partition} has offsets {self.log_start_offset} to {self.end_offset}, not {offset}",
            )
        limit = self.high_watermark if max_offset is None else min(max_offset, self.end_offset)
        try:
            wanted = Wanted(limit, max_bytes, min_one, leave_in_file)
            return self._reader.read(self.segments.layout, offset, end_offset=self.end_offset, wanted=wanted)
        except OSError as error:
            raise StorageError(f"{self.path}: offset {offset} cannot be read: {error}") from error

    def offset_for_timestamp(self, timestamp_ms: int) -> tuple[int, int] | None:
        """Offset and timestamp of the first record that is not older, None when there is none."""
        try:
            return self._reader.first_not_older(
                self.segments.layout, timestamp_ms, from_offset=self.log_start_offset, end_offset=self.end_offset
            )
        except OSError as error:
            raise StorageError(f"{self.path}: time {timestamp_ms} cannot be looked up: {error}") from error

    def offset_of_max_timestamp(self) -> tuple[int, int] | None:
        """Offset and timestamp of the first of the newest records, None in an empty log; without times the first."""
        newest_ms, start = self.segments.newest_ms(), self.log_start_offset
        timeless = (start, -1) if start < self.end_offset else None
        return timeless if newest_ms < 0 else self.offset_for_timestamp(newest_ms)

    # Retention.

    def delete_old_segments(self, now_ms: int) -> int:
        """Drop the segments that are over their time or size, or below the log's start; returns how many.

        The next tidy() renames their files, and the first remove_deleted() after file.delete.delay.ms removes them.
        """
        segments, states = zip(*self.segments.states(), strict=True)
        count = deletable_segments(
            self.config, states, log_start_offset=self.log_start_offset, high_watermark=self.high_watermark,
            end_offset=self.end_offset, now_ms=now_ms,
        )  # fmt: skip
        if not count:
            return 0
        if count == len(segments):
            self.roll()
        self._reader.forget(self.segments.drop_first(segments[:count], now_ms + self.config.file_delete_delay_ms))
        self._start_at(self.segments.layout.bases[0])
        return count

    def delete_records(self, before: int) -> int:
        """Make `before` the log's first offset, -1 for the high watermark; returns the log's start.

        It survives a restart from the next LogDirectory.checkpoint() on. Raises ProtocolError OFFSET_OUT_OF_RANGE.
        """
        offset = self.high_watermark if before == -1 else before
        if not 0 <= offset <= self.high_watermark:
            raise ProtocolError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"records before {before} cannot be deleted; {self.high_watermark} is the end",
            )
        self._start_at(offset)
        return self.log_start_offset

    def _start_at(self, offset: int) -> None:
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            if self._epochs.truncate_start(offset):
                self._flusher.add_file(LEADER_EPOCHS, format_epochs(self._epochs.entries()))

    # The committer's side, and the end.

    def flush(self) -> int:
        """Put all that was appended so far on the medium; returns the flushed offset. Blocks. Raises StorageError."""
        return self._flusher.flush(self._growing)

    def tidy(self) -> None:
        """After a flush: index entries, producer snapshots, removal of old segments. Blocks."""
        self._flusher.tidy(self._growing)

    def remove_deleted(self, now_ms: int) -> None:
        """Remove the files of old segments whose time has come. Blocks; from any thread."""
        self._flusher.remove_deleted(now_ms)

    def exchange(self, group: CleanedGroup, now_ms: int) -> None:
        """Put a cleaned segment in the place of those that it was made from. Blocks; from any thread.

        Raises StorageError when that cannot be; the segments that were there are there still.
        """
        due_ms = now_ms + self.config.file_delete_delay_ms
        with self._flusher.exchanging():
            self._reader.forget(swap_in(group, self.segments, self._flusher, self._disk, self.path, due_ms))

    def aborted_transactions(self) -> list[AbortedTransaction]:
        """All that the log still knows of. Raises OSError."""
        return self._reader.all_aborted(self.segments.layout)

    def _growing(self) -> tuple[int, Segment]:
        return self.end_offset, self.segments.active

    def shorten_recovery(self, grown_bytes: int) -> bool:
        """Have the producers' state written when the active segment has grown by so much since the last time.

        On the log's own thread; the next flush() and tidy() write it. Returns whether it had.
        """
        active, (known, known_bytes) = self.segments.active, self._snapshot_at
        grown = active.size_bytes - (known_bytes if known == active.base_offset else 0)
        if grown < grown_bytes or self._flusher.failure is not None:
            return False
        self._snapshot_at = (active.base_offset, active.size_bytes)
        self._flusher.add_snapshot(self.end_offset, encode_snapshot(self._producers.all()))
        return True

    def close(self) -> None:
        """Flush, complete the files of the active segment and take a producer snapshot. Raises StorageError."""
        try:
            self._flusher.flush(self._growing)
            self._flusher.finish(self._growing, encode_snapshot(self._producers.all()))
        finally:
            self.abandon("closed")

    def idle(self, *, wait: bool = False) -> bool:
        """Whether no other thread is at the files, or with `wait` once none is; after abandon() none comes any more."""
        return self._flusher.idle(wait=wait)

    def abandon(self, why: str) -> None:
        """Let go of the files as they are; every later use is refused."""
        self._flusher.abandon(f"{self.path} is {why}")
        for segment in self.segments.layout.segments:
            segment.unload()
