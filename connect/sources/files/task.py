"""The files source's task: looks for files, reads the oldest first, hands over lines with their positions. Shell.

Tested in tests/connect/sources/test_files_task.py, and in test_file_lives.py by a simulation.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ....core.errors import ConfigError, Retriable
from ...api import SourceBatch, SourceConnector, SourceContext, SourceKey, SourceOffset
from .changes import Changes
from .content import OpenFile
from .folder import Complaints, Folder, FolderContents, nothing_found, unescaped
from .headers import headers
from .known import (
    FINGERPRINT_BYTES,
    FileKey,
    Known,
    Seen,
    Stamp,
    fingerprint,
    from_source,
    source_offset,
    source_partition,
)
from .lines import Lines, cut_off, split_lines, what_else
from .look import Look, Moved
from .reading import Reading, Readings
from .spec import SPEC, FilesConfig, files_config, split
from .tracking import Tracker

log = logging.getLogger(__name__)

NO_ROWS = pa.RecordBatch.from_pydict({"key": pa.array([], pa.binary()), "value": pa.array([], pa.binary())})

# How long a file that was renamed out of sight or removed is still read: its writer reopens its log within this time.
UNLISTED_WAIT_MS = 5_000
# A compressed file that stops growing for so long before its end is reported.
UNFINISHED_MS = 60_000
# How often a bounded run looks again when files were moved while it looked.
LOOKS_MAX = 10


class FilesTask:
    """A SourceTask over files."""

    # From start() on.
    _context: SourceContext
    _tracker: Tracker
    _nothing_known: bool

    def __init__(self, config: FilesConfig) -> None:
        self._config = config
        self._complaints = Complaints()
        self._folder = Folder(config, self._complaints)
        self._contents = FolderContents(self._complaints)
        self._changes: Changes | None = None
        self._reading = Readings()
        self._order: list[FileKey] = []
        self._read_to_end: dict[FileKey, Stamp] = {}
        self._unfinished: dict[FileKey, Stamp] = {}
        self._told: set[FileKey] = set()
        self._missing: dict[FileKey, tuple[Known, int | None]] = {}
        self._first_look = self._look_due = True
        self._found_nothing: set[str] = set()

    @property
    def exhausted(self) -> bool:
        return self._context.bounded and not self._look_due and self._reading.all_at_end

    async def start(self, context: SourceContext) -> None:
        self._context = context
        stored = await context.offsets.read_all()
        self._tracker = Tracker(
            (from_source(*pair) for pair in stored),
            forget_after_ms=self._config.forget_after_ms,
            is_mine=self._folder.is_mine,
            is_away=self._folder.is_away,
        )
        self._nothing_known = not stored
        if not context.bounded:
            self._changes = Changes(
                self._folder.watched(), self._config.poll_interval_ms, recursive=self._folder.reaches_below()
            )

    async def poll(self) -> Sequence[SourceBatch]:
        batches = await asyncio.to_thread(self._read)
        if not batches and self._changes is not None:
            await asyncio.to_thread(self._changes.wait)
        return batches

    async def commit(self, batches: Sequence[SourceBatch]) -> None:
        """Positions are committed with the lines; nothing is left to do."""

    async def stop(self) -> None:
        self._reading.drop(list(self._reading))
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def _read(self) -> list[SourceBatch]:
        batches: list[SourceBatch] = []
        if self._reading.all_at_end and (self._look_due or not self._context.bounded):
            batches.extend(self._look())
        budget = self._config.batch_bytes
        for key in self._order:
            one = self._reading.get(key)
            while one is not None and budget > 0 and not one.at_end and key in self._reading:
                try:
                    batch, size = self._read_one(one)
                except Retriable:
                    self._reading.drop_finished()
                    if not batches:
                        raise
                    return batches
                budget -= size
                if batch is not None:
                    batches.append(batch)
            self._reading.rest(key)
            if budget <= 0:
                break
        if self._context.bounded and self._reading.all_at_end:
            self._remark()
        return batches

    def _look(self) -> list[SourceBatch]:
        """Find what has come, grown, moved, been cut or gone since the last look.

        Returns a batch without rows when positions must be kept of files that give no lines now, such as whole copies:
        what tells that they are copies is overwritten with the next lines of their original.
        """
        now_ms, steady_ms = self._context.clock.now_ms(), self._context.clock.monotonic_ms()
        seen = self._folder.look(now_ms)
        if not self._context.bounded and (gone := self._reading.gone_unread({file.key for file in seen}, steady_ms)):
            self._order = gone  # first: a packed copy of them is known by what was read of them
            return []
        seen, found = self._looked(seen, now_ms)
        files = {file.key: file for file in seen}
        if self._context.bounded:
            self._take_all(found, files)
        else:
            self._let_go(found, files, steady_ms)
            for file in seen:
                self._take(file, found)
            self._reading.hold_open(seen, self._tracker.known, now_ms)
            self._unfinished |= {file.key: file.stamp for file in found.unfinished if file.key not in self._told}
            self._report_unfinished(files, now_ms)
        unlisted = [key for key in self._reading if key not in files]
        self._order = unlisted + [file.key for file in seen if file.key in self._reading]
        self._first_look = self._look_due = False
        kept = [(source_partition(known), None) for known in found.forgotten]
        offsets = [*kept, *((source_partition(known), source_offset(known)) for known in found.keep)]
        return [SourceBatch(self._config.topic, NO_ROWS, offsets)] if offsets else []

    def _looked(self, seen: list[Seen], now_ms: int) -> tuple[list[Seen], Look]:
        """A bounded run has no later look that would find what was moved during this one: it looks again at once."""
        earlier = Look()
        for number in range(LOOKS_MAX):
            if number:
                seen = self._folder.look(now_ms)
            found = self._tracker.look(
                seen, self._contents, now_ms, start_position=self._start_position, final=self._context.bounded
            )
            for note in found.notes:
                log.info("%s: %s", self._context.connector, note)
            for remark in found.remarks:
                log.warning("%s: %s", self._context.connector, remark)
            found.begun |= earlier.begun
            found.continued |= earlier.continued
            found.keep = earlier.keep + found.keep
            found.forgotten = earlier.forgotten + found.forgotten
            earlier = found
            if not self._context.bounded or not found.moved:
                break
        self._tell_what_matches_nothing()
        return seen, found

    def _tell_what_matches_nothing(self) -> None:
        self._remark()
        for pattern in self._folder.empty:
            if pattern not in self._found_nothing and self._config.task_index == 0:
                outcome = "nothing was read from it" if self._context.bounded else "waiting for one"
                log.warning("%s: %s; %s", self._context.connector, nothing_found(pattern), outcome)
                self._found_nothing.add(pattern)

    def _remark(self) -> None:
        """A bounded run ends with what it could not read; one that goes on may have read it since it was told."""
        nothing = map(nothing_found, self._folder.empty) if self._config.task_index == 0 else ()
        faults = self._complaints.told() if self._context.bounded else ()
        self._context.remark("; ".join((*nothing, *faults)))

    def _take(self, file: Seen, found: Look) -> None:
        """Read on in a file if there may be more in it than was read."""
        key, known = file.key, found.reading.get(file.key)
        if key in found.begun:
            self._reading.drop([key])
            self._read_to_end.pop(key, None)
        if known is None:
            state = self._tracker.known.get(key)
            if state is None or state.copy_of is not None:
                self._reading.drop([key])
            return
        one = self._reading.get(key)
        if one is not None:
            one.known, one.unlisted_ms = known, None
        if self._read_to_end.get(key) == file.stamp:
            return
        if known.is_all_of(file):
            self._read_to_end[key] = file.stamp
            return
        if one is None:
            one = self._reading[key] = Reading(known, file, None)
        one.stamp, one.at_end = file.stamp, False

    def _take_all(self, found: Look, files: Mapping[FileKey, Seen]) -> None:
        """What a bounded run reads: at its first look all that is there, later what was moved while it was read."""
        if self._first_look:
            for key, known in found.reading.items():
                if not known.is_all_of(files[key]):
                    limit = None if files[key].compressed else files[key].size_bytes
                    self._reading[key] = Reading(known, files[key], limit)
            return
        for key, (known, limit) in self._missing.items():
            now = found.reading.get(key)
            if now is None or now.position < known.position or key in found.begun:
                key = found.continued.get(key, key)
                now = found.reading.get(key) if key != known.key else None
            if now is None:
                log.warning(
                    "%s was removed or cut off when it had been read up to byte %d: what came then is lost",
                    known.path,
                    known.position,
                )
            else:
                self._reading[key] = Reading(now, files[key], limit)
        self._missing.clear()

    def _let_go(self, found: Look, files: Mapping[FileKey, Seen], steady_ms: int) -> None:
        """Close files that go on in a copy, or that are out of sight and had time to end. steady_ms: monotonic."""
        for key, one in list(self._reading.items()):
            if key in files:
                continue
            one.unlisted_ms = steady_ms if one.unlisted_ms is None else one.unlisted_ms
            one.at_end = False
            if key in found.continued or one.file is None or steady_ms - one.unlisted_ms > UNLISTED_WAIT_MS:
                self._reading.drop([key])
        for key in [key for key in self._read_to_end if key not in files]:
            del self._read_to_end[key]

    def _start_position(self, file: Seen) -> int:
        if self._first_look and self._config.from_end and self._nothing_known and not file.compressed:
            return file.size_bytes
        return 0

    def _read_one(self, one: Reading) -> tuple[SourceBatch | None, int]:
        """The next lines of one file, and how many bytes they took."""
        known, size = one.known, self._config.batch_bytes
        if one.limit is not None:
            size = min(size, max(0, one.limit - known.position))
        try:
            file = one.opened()
            data = file.read(known.position, size)
            checked = _checked(file, known, data)
        except Moved:
            self._miss(one)
            return None, 0
        except OSError as error:
            self._complaints.add(known.path, f"cannot be read: {error.strerror or error}")
            one.at_end = True
            return None, 0
        self._complaints.over(known.path)
        if checked is None:  # truncated or replaced: the next look finds out what it is now
            self._tracker.ended(known.key, self._context.clock.now_ms())
            self._miss(one)
            return None, 0
        one.known, before = checked
        known = one.known
        one.at_end = len(data) < size or (one.limit is not None and known.position + len(data) >= one.limit)
        lines = split_lines(
            data,
            position=known.position,
            line_bytes_max=self._config.line_bytes_max,
            skipping=known.skipping,
            final=one.at_end and file.complete and (self._context.bounded or file.compressed),
        )
        if lines.consumed and not known.position and (fault := what_else(data)):
            self._complaints.no_lines(known.path, fault)
        if lines.truncated:
            log.warning("%s: %s", known.path, cut_off(lines.truncated, self._config.line_bytes_max))
        last = data[max(0, lines.consumed - FINGERPRINT_BYTES) : lines.consumed]
        one.known = self._advanced(one, file, (before + last)[-FINGERPRINT_BYTES:], lines)
        if one.at_end:
            self._finished(one, file)
        is_read = one.known.raw_bytes != known.raw_bytes
        return self._batch(one.known, lines) if lines.consumed or is_read else None, len(data)

    def _advanced(self, one: Reading, file: OpenFile, before: bytes, lines: Lines) -> Known:
        """before: what stands before the new position."""
        known = replace(
            one.known,
            position=one.known.position + lines.consumed,
            skipping=lines.skipping,
            tail=fingerprint(before) if lines.consumed else one.known.tail,
            tail_bytes=len(before) if lines.consumed else one.known.tail_bytes,
            raw_bytes=file.raw_position if one.at_end and file.compressed and file.complete else 0,
            time_ms=self._context.clock.now_ms(),
        )
        self._tracker.advanced(known)
        return known

    def _finished(self, one: Reading, file: OpenFile) -> None:
        """There is nothing more in it now; said if there should be."""
        known = one.known
        self._read_to_end[known.key] = one.stamp
        if file.fault:
            self._complaints.damaged(known, file.raw_position, file.fault)
        elif not file.complete and self._context.bounded:
            self._complaints.unfinished(known)
        elif not file.complete:
            self._unfinished[known.key] = one.stamp

    def _report_unfinished(self, files: Mapping[FileKey, Seen], now_ms: int) -> None:
        for key, stamp in list(self._unfinished.items()):
            file = files.get(key)
            if file is None or file.stamp != stamp:
                del self._unfinished[key]
            elif now_ms - file.modified_ns // 1_000_000 > UNFINISHED_MS:
                self._complaints.unfinished(self._tracker.known.get(key) or Known(*key, file.path))
                self._told.add(key)
                del self._unfinished[key]

    def _miss(self, one: Reading) -> None:
        """It is no longer there, or no longer the same. The next look tells; a bounded run looks again for that."""
        if self._context.bounded:
            self._missing[one.known.key] = (one.known, one.limit)
            self._look_due = True
        self._reading.drop([one.known.key])

    def _batch(self, known: Known, lines: Lines) -> SourceBatch:
        count = len(lines.starts)
        columns = {"key": pa.nulls(count, pa.binary()), "value": lines.values}
        if self._config.headers:
            columns["headers"] = headers(known.path, lines)
        offsets = [(source_partition(known), source_offset(known))]
        return SourceBatch(self._config.topic, pa.RecordBatch.from_pydict(columns), offsets)


def _checked(file: OpenFile, known: Known, data: bytes) -> tuple[Known, bytes] | None:
    """The file as it is known now, and what stands before the position; None when it has begun anew.

    What stands before the position is looked at after `data` was read, so that `data` is known to be of the old life.
    While the file is short its fingerprint grows with it.
    """
    if not data and (not file.compressed or not file.reaches(known.position)):
        return None if file.compressed and file.complete else (known, b"")
    before = file.before(known.position)
    if not file.compressed and known.position < FINGERPRINT_BYTES:
        head = file.read(0, FINGERPRINT_BYTES)
        if not known.began_as(head):
            return None
        if known.fingerprint_bytes < len(head):
            known = replace(known, fingerprint=fingerprint(head), fingerprint_bytes=len(head))
    return (known, before) if known.ended_as(before) else None


def make_task(values: Mapping[str, Any]) -> FilesTask:
    config = files_config(values)
    if not config.globs:
        raise ConfigError("files: paths is required: the files to read, such as /var/log/nginx/*.log")
    return FilesTask(config)


def check(values: Mapping[str, Any]) -> None:
    """Whether what is to be read can be files. Blocks."""
    faults = [
        f"files: {path!r} is a folder: name the files in it, such as {path.rstrip('/')}/*"
        for path in map(unescaped, files_config(values).globs)
        if os.path.isdir(path)
    ]
    if faults:
        raise ConfigError(faults)


def _told(_: SourceKey, offset: SourceOffset) -> str:
    return f"byte {offset['position']:,} of {offset['path']}"


CONNECTOR = SourceConnector(SPEC, split, make_task, check=check, told=_told, topics=lambda values: (values["topic"],))
