"""One segment of a log: its .log file, its sparse indexes and its aborted transactions. Shell over ports.Disk.

Index entries are collected in memory and written by write_indexes(), which the committer calls: no index I/O stands in
the way of an append, and what a crash loses is rebuilt from the .log file. A segment that is not the active one opens
its file and loads its indexes when they are asked for; unload() gives them back, also beneath readers in other threads.
Tested in tests/core/log/test_partition_log.py and test_indexes.py.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator
from itertools import takewhile

from ...config import LogConfig
from ...ports import Buffer, Disk, File
from ..file_names import LOG, OFFSET_INDEX, SNAPSHOT, TIME_INDEX, TRANSACTION_INDEX, segment_file
from ..files import EntryFile, file_size, read_file
from ..leader_epochs import LeaderEpochs
from ..producers.transaction_index import ENTRY as ABORTED_ENTRY
from ..producers.transaction_index import AbortedTransaction, decode_entries, encode_entries
from ..rules import SegmentRoom, empty_segment_room, roll_jitter_ms, segment_room
from .batch_scan import HEADER, Damage, ScannedBatch, scan_batches
from .checked_span import CheckedSpan
from .indexes import OFFSET_ENTRY, TIME_ENTRY, OffsetIndex, TimeIndex

logger = logging.getLogger(__name__)

NO_BOUND = 2**63 - 1
ALL_SUFFIXES = (LOG, OFFSET_INDEX, TIME_INDEX, TRANSACTION_INDEX, SNAPSHOT)


class Segment:
    """A range of a log's offsets from base_offset on. `size_bytes` is where the next batch goes.

    state: what follows the names of its files: "", or .cleaned, .swap or .deleted.
    """

    def __init__(
        self, disk: Disk, directory: str, base_offset: int, *, size_bytes: int, index_interval: int, state: str = ""
    ) -> None:
        self.state = state
        self.has_aborted, self._held = True, False
        self._loading = threading.RLock()
        self.base_offset = base_offset
        self.size_bytes = size_bytes
        self.checked = CheckedSpan()
        self.index_interval = index_interval
        self._disk = disk
        self._directory = directory
        self._file: File | None = None
        self._offsets: OffsetIndex | None = None
        self._times: TimeIndex | None = None
        self._aborted: list[AbortedTransaction] | None = None
        self._offset_file = EntryFile(disk, self.path(OFFSET_INDEX), written_bytes=0)
        self._time_file = EntryFile(disk, self.path(TIME_INDEX), written_bytes=0)
        self._aborted_file = EntryFile(disk, self.path(TRANSACTION_INDEX), written_bytes=0)
        self._bytes_since_index = 0
        self._newest = (-1, 0)
        self._first_timestamp: int | None = None
        self._room: tuple[LogConfig, SegmentRoom] | None = None

    @classmethod
    def create(cls, disk: Disk, directory: str, base_offset: int, *, index_interval: int, state: str = "") -> "Segment":
        """A new, empty segment with its files. The caller syncs the directory. Raises OSError."""
        segment = cls(disk, directory, base_offset, size_bytes=0, index_interval=index_interval, state=state)
        for suffix in ALL_SUFFIXES[:-1]:
            if disk.exists(segment.path(suffix)):
                disk.unlink(segment.path(suffix))
        for suffix in (OFFSET_INDEX, TIME_INDEX):
            disk.open(segment.path(suffix), create=True).close()
        segment._file = disk.open(segment.path(LOG), create=True)
        segment.start_indexes()
        segment.set_aborted([])
        segment.spare()
        return segment

    def path(self, suffix: str) -> str:
        return f"{self._directory}/{segment_file(self.base_offset, suffix)}{self.state}"

    @property
    def file(self) -> File:
        """The .log file. Raises OSError when it cannot be opened."""
        file = self._file
        if file is None:
            with self._loading:
                file = self._file
                if file is None:
                    file = self._file = self._disk.open(self.path(LOG))
        return file

    def read(self, position: int, size: int) -> bytes:
        """Bytes of the segment; none from beyond size_bytes, where a failed write may have left some."""
        return self.file.read_at(position, max(0, min(size, self.size_bytes - position)))

    def scan(self, *, bound: int = NO_BOUND, position: int = 0) -> Iterator[ScannedBatch | Damage]:
        """All good batches from a batch border on, and damage. bound: their offsets lie below it."""
        return scan_batches(
            self.read, position=position, end=self.size_bytes, expected=self.base_offset, bound=bound,
            epochs=LeaderEpochs(),
        )  # fmt: skip

    # Growing: only the active segment, only on the log's own thread.

    def takes(self, config: LogConfig, append_bytes: int, last_offset: int, newest_ms: int) -> bool:
        """Whether an append still goes to this segment; newest_ms: the newest of its times, -1 when there is none."""
        known = self._room
        if known is not None and known[0] is config:
            room = known[1]
        elif self.size_bytes:
            jitter_ms = roll_jitter_ms(config, self._directory, self.base_offset)
            room = segment_room(config, self.base_offset, first_ms=self.first_timestamp(), jitter_ms=jitter_ms)
            self._room = (config, room)
        else:
            room = empty_segment_room(self.base_offset)
        return room.takes(self.size_bytes + append_bytes, last_offset, newest_ms, self.index_entries)

    def append(self, buffers: list[Buffer], size_bytes: int) -> int:
        """Write checked batches to the end; returns where. Call note_batch for each after that. Raises OSError."""
        position = self.size_bytes
        self.file.write_at(buffers, position)
        self.size_bytes = position + size_bytes
        self.checked.add(position, self.size_bytes)
        self.spare()
        return position

    def note_batch(self, position: int, size_bytes: int, last_offset: int, timestamp_ms: int) -> None:
        """Keep the indexes up to date with a batch that stands at `position`."""
        if timestamp_ms > self._newest[0]:
            self._newest = (timestamp_ms, last_offset - self.base_offset)
        if position == 0:
            self._first_timestamp = timestamp_ms
        if self._bytes_since_index > self.index_interval:
            self.offsets().add(last_offset - self.base_offset, position)
            self.times().add(*self._newest)
            self._bytes_since_index = 0
        self._bytes_since_index += size_bytes

    def note_aborted(self, entry: AbortedTransaction) -> None:
        self.aborted_transactions().append(entry)
        self.has_aborted = True

    def cut(self, size_bytes: int) -> None:
        """Drop the bytes from there on, also those that a failed write left behind. Raises OSError."""
        self.checked.cut(size_bytes)
        self.file.truncate(size_bytes)
        self.size_bytes = size_bytes

    # Indexes.

    def start_indexes(self) -> tuple[OffsetIndex, TimeIndex]:
        """Begin with an empty offset and time index, to be filled by note_batch and written over those in the files."""
        offsets, times = self._offsets, self._times = OffsetIndex(), TimeIndex()
        self._offset_file.written_bytes = self._time_file.written_bytes = self._bytes_since_index = 0
        self._newest = (-1, 0)
        return offsets, times

    def resume_indexes(self) -> None:
        """Make ready to note the batches from the last entry's position on again."""
        self.times()
        self._bytes_since_index = 0

    def resume_indexes_below(self, offset: int) -> int:
        """As resume_indexes(), but of what was noted only that below an offset counts; returns where to go on.

        0 when the files are of no use; then the indexes are empty. Raises OSError.
        """
        try:
            offsets = OffsetIndex.decode(read_file(self._disk, self.path(OFFSET_INDEX)), log_bytes=self.size_bytes)
            times = TimeIndex.decode(read_file(self._disk, self.path(TIME_INDEX)))
        except ValueError:
            offsets, times = OffsetIndex(), TimeIndex()
        relative_offset, position = offsets.before(offset - self.base_offset)
        offsets.cut_behind(relative_offset)
        times.cut_behind(relative_offset)
        if relative_offset < 0 or not len(times):
            self.start_indexes()
            return 0
        self._offsets, self._times, self._newest = offsets, times, times.last
        self._offset_file.written_bytes = len(offsets) * OFFSET_ENTRY.size
        self._time_file.written_bytes = len(times) * TIME_ENTRY.size
        self._bytes_since_index = 0
        return position

    def rebuild_indexes(self) -> tuple[OffsetIndex, TimeIndex]:
        """Make the offset and time index anew from the batches, also in their files. Raises OSError."""
        offsets, times = self.start_indexes()
        for found in self.scan():
            if isinstance(found, ScannedBatch):
                self.note_batch(found.position, found.size_bytes, found.next_offset - 1, found.max_timestamp)
        self.seal()
        return offsets, times

    def offsets(self) -> OffsetIndex:
        index = self._offsets
        return self._load_indexes()[0] if index is None else index

    def times(self) -> TimeIndex:
        index = self._times
        return self._load_indexes()[1] if index is None else index

    def _load_indexes(self) -> tuple[OffsetIndex, TimeIndex]:
        with self._loading:
            offsets, times = self._offsets, self._times
            return self._read_indexes() if offsets is None or times is None else (offsets, times)

    def _read_indexes(self) -> tuple[OffsetIndex, TimeIndex]:
        try:
            offsets = OffsetIndex.decode(read_file(self._disk, self.path(OFFSET_INDEX)), log_bytes=self.size_bytes)
            times = TimeIndex.decode(read_file(self._disk, self.path(TIME_INDEX)))
            if self.size_bytes and not len(times) and not self._is_timeless():
                raise ValueError("the time index is empty")
        except ValueError as error:
            logger.warning("%s: indexes are made anew: %s", self.path(LOG), error)
            return self.rebuild_indexes()
        self._offset_file.written_bytes = len(offsets) * OFFSET_ENTRY.size
        self._time_file.written_bytes = len(times) * TIME_ENTRY.size
        self._newest = times.last
        self._offsets, self._times = offsets, times
        return offsets, times

    def _is_timeless(self) -> bool:
        """Whether an empty time index may be all there is: no batch has a time, as far as the first one tells."""
        return self._disk.exists(self.path(TIME_INDEX)) and self.first_timestamp() < 0

    @property
    def index_entries(self) -> int:
        return max(len(self.offsets()), len(self.times()))

    def newest(self) -> tuple[int, int]:
        """The largest timestamp, ms, and the last offset of the batch that has it; -1 in an empty segment."""
        if self._newest[0] < 0 and self.size_bytes:
            self._newest = self._last_time_entry() or self.times().last
        return self._newest[0], self._newest[1] + self.base_offset

    def largest_timestamp_ms(self) -> int:
        """From which its age is reckoned: its newest time; when none of its batches has one, when it was written to."""
        newest_ms = self.newest()[0]
        return newest_ms if newest_ms >= 0 or not self.size_bytes else self.modified_ms()

    def modified_ms(self) -> int:
        return self._disk.modified_ms(self.path(LOG))

    def _last_time_entry(self) -> tuple[int, int] | None:
        """The end of the time index file, None when it has to be looked at as a whole."""
        if self._times is not None or not self._disk.exists(self.path(TIME_INDEX)):
            return None
        file = self._disk.open(self.path(TIME_INDEX))
        try:
            size_bytes = file.size()
            data = file.read_at(size_bytes - TIME_ENTRY.size, TIME_ENTRY.size) if size_bytes else b""
        finally:
            file.close()
        if not size_bytes and self.first_timestamp() < 0:
            return -1, 0
        if size_bytes % TIME_ENTRY.size or not any(data):
            return None
        timestamp_ms, relative_offset = TIME_ENTRY.unpack(data)
        return timestamp_ms, relative_offset

    def first_timestamp(self) -> int:
        """The largest timestamp of the first batch, ms, from which the segment's age is reckoned; -1 when empty."""
        if self._first_timestamp is None and self.size_bytes >= HEADER.size:
            file = self._file
            opened = self._disk.open(self.path(LOG)) if file is None else file
            self._first_timestamp = HEADER.unpack(opened.read_at(0, HEADER.size))[8]
            if file is None:
                opened.close()
        return -1 if self._first_timestamp is None else self._first_timestamp

    def index_bytes(self) -> tuple[int, int]:
        """Sizes of the offset and the time index."""
        if self._offsets is not None and self._times is not None:
            return len(self._offsets) * OFFSET_ENTRY.size, len(self._times) * TIME_ENTRY.size
        return file_size(self._disk, self.path(OFFSET_INDEX)), file_size(self._disk, self.path(TIME_INDEX))

    def aborted_transactions(self) -> list[AbortedTransaction]:
        """Transactions whose abort marker lies in this segment. Raises ValueError when the index is damaged."""
        entries = self._aborted
        return self._read_aborted() if entries is None else entries

    def _read_aborted(self) -> list[AbortedTransaction]:
        with self._loading:
            entries = self._aborted
            if entries is None:
                data = read_file(self._disk, self.path(TRANSACTION_INDEX))
                entries = decode_entries(data, base_offset=self.base_offset)
                self._aborted_file.written_bytes = len(data)
                self._aborted = entries
                self.has_aborted = bool(entries)
            return entries

    def saved_aborted(self, below: int) -> list[AbortedTransaction]:
        """The transactions in the file whose markers lie below an offset; what follows them may be torn."""
        data = read_file(self._disk, self.path(TRANSACTION_INDEX))
        whole = data[: len(data) // ABORTED_ENTRY.size * ABORTED_ENTRY.size]
        found = [AbortedTransaction(*fields) for _, *fields in ABORTED_ENTRY.iter_unpack(whole)]
        return list(takewhile(lambda entry: self._is_marked(entry, below), found))

    def _is_marked(self, entry: AbortedTransaction, below: int) -> bool:
        return entry.first_offset < entry.last_offset and self.base_offset <= entry.last_offset < below

    def set_aborted(self, entries: list[AbortedTransaction]) -> None:
        """Begin anew with these; they are written over those in the file."""
        self._aborted = entries
        self._aborted_file.written_bytes = 0
        self.has_aborted = bool(entries)

    def write_indexes(self) -> None:
        """Bring the files up to date. Raises OSError; the entries stay in memory then."""
        if self._offsets is not None:
            self._offset_file.extend(self._offsets.encode(self._offset_file.written_bytes // OFFSET_ENTRY.size))
        if self._times is not None:
            self._time_file.extend(self._times.encode(self._time_file.written_bytes // TIME_ENTRY.size))
        if self._aborted is not None:
            written = self._aborted_file.written_bytes // ABORTED_ENTRY.size
            self._aborted_file.extend(encode_entries(self._aborted[written:]))

    def seal(self) -> None:
        """Complete the index files: nothing more is appended. Raises OSError."""
        if self._times is not None and self._newest[0] >= 0:
            self._times.add(*self._newest)
        self.write_indexes()
        loaded = (self._offsets, self._offset_file), (self._times, self._time_file), (self._aborted, self._aborted_file)
        for entries, file in loaded:
            if entries is not None:
                file.finish()

    # Files.

    def sync(self) -> None:
        """Return once the batches are on the medium. Raises OSError."""
        self.file.sync()

    def _index_files(self) -> tuple[EntryFile, EntryFile, EntryFile]:
        return self._offset_file, self._time_file, self._aborted_file

    def sync_indexes(self) -> None:
        for file in self._index_files():
            file.sync()
            file.close()

    def unload(self) -> None:
        """Let go of the files and the indexes, until they are asked for again.

        Nothing is closed under a thread that is reading or syncing: the last one to let go of a file closes it.
        """
        with self._loading:
            if not self._held:
                self._file = self._offsets = self._times = self._aborted = None
                for file in self._index_files():
                    file.close()

    def spare(self) -> None:
        """Close the .log file until it is asked for again, where too many files are open to keep it."""
        file = self._file
        if file is not None and file.is_one_too_many:
            with self._loading:
                if not self._held:
                    self._file = None

    def hold(self) -> None:
        """Open and load all, and keep that until release(), so that the files may be renamed under readers.

        A damaged transaction index is left to those who ask for it. Raises OSError.
        """
        with self._loading:
            _ = self.file
            self.offsets()
            self.times()
            with contextlib.suppress(ValueError):
                self.aborted_transactions()
            self._held = True

    def release(self) -> None:
        """The files have their lasting names."""
        with self._loading:
            self._held = False

    def move(self, state: str, *, snapshot: bool = False) -> None:
        """Rename the files; of one that is held. snapshot: also that of the producers. Raises OSError half way."""
        suffixes = ALL_SUFFIXES if snapshot else ALL_SUFFIXES[:-1]
        old = [self.path(suffix) for suffix in suffixes]
        self.state = state
        for source, suffix in zip(old, suffixes, strict=True):
            if self._disk.exists(source):
                self._disk.rename(source, self.path(suffix))
        for file, suffix in zip(self._index_files(), ALL_SUFFIXES[1:4], strict=True):
            file.path = self.path(suffix)

    def unlink(self) -> None:
        """Remove all files. Raises OSError."""
        for suffix in ALL_SUFFIXES:
            if self._disk.exists(self.path(suffix)):
                self._disk.unlink(self.path(suffix))
