"""The files source's task: looks for files, reads the oldest first, hands over lines with their positions. Shell."""

import asyncio
import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from watchfiles import watch

from ....core.errors import ConfigError, Retriable
from ....core.records import HEADER_TYPE
from ...api import SourceBatch, SourceConnector, SourceContext, SourceKey, SourceOffset
from .folder import Folder, OpenFile
from .lines import Lines, split_lines
from .spec import SPEC, FilesConfig, files_config, split
from .tracking import (
    FINGERPRINT_BYTES,
    FileKey,
    Known,
    Look,
    Seen,
    fingerprint,
    from_source,
    look,
    printable,
    source_offset,
    source_partition,
)

log = logging.getLogger(__name__)

NO_ROWS = pa.RecordBatch.from_pydict({"key": pa.array([], pa.binary()), "value": pa.array([], pa.binary())})

DEBOUNCE_MS, STEP_MS = 50, 10
# How long a file that was renamed out of sight or removed is still read: its writer reopens its log within this time.
UNLISTED_WAIT_MS = 5_000


class _Reading:
    """A file that is read. limit: where a bounded run stops. at_end: at the last read there was nothing more.

    unlisted_ms: since when no glob finds it any more; a writer may still hold it open after it was renamed.
    """

    def __init__(self, known: Known, file: OpenFile, limit: int | None) -> None:
        self.known = known
        self.file = file
        self.limit = limit
        self.at_end = False
        self.unlisted_ms: int | None = None


class FilesTask:
    """A SourceTask over files."""

    def __init__(self, config: FilesConfig) -> None:
        self._config = config
        self._folder = Folder(config)
        self._known: dict[FileKey, Known] = {}
        self._reading: dict[FileKey, _Reading] = {}
        self._order: list[FileKey] = []
        self._first_look = True
        self._changes: Generator[object, None, None] | None = None

    @property
    def exhausted(self) -> bool:
        return self._context.bounded and not self._first_look and all(one.at_end for one in self._reading.values())

    async def start(self, context: SourceContext) -> None:
        self._context = context
        stored = await context.offsets.read_all()
        self._known = {state.key: state for state in (from_source(*pair) for pair in stored)}
        self._first_look = True
        if not context.bounded:
            self._changes = watch(
                *self._folder.watched(),
                watch_filter=None,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=self._config.poll_interval_ms,
                yield_on_timeout=True,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )

    async def poll(self) -> Sequence[SourceBatch]:
        batches = await asyncio.to_thread(self._read)
        if not batches and self._changes is not None:
            await asyncio.to_thread(next, self._changes)
        return batches

    async def commit(self, batches: Sequence[SourceBatch]) -> None:
        """Positions are committed with the lines; nothing is left to do."""

    async def stop(self) -> None:
        for one in self._reading.values():
            one.file.close()
        self._reading.clear()
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    def _read(self) -> list[SourceBatch]:
        batches: list[SourceBatch] = []
        if all(one.at_end for one in self._reading.values()):
            batches.extend(self._look())
        budget = self._config.batch_bytes
        for key in self._order:
            one = self._reading.get(key)
            while one is not None and budget > 0 and not one.at_end:
                batch, size = self._read_one(one)
                budget -= size
                if batch is not None:
                    batches.append(batch)
            if budget <= 0:
                break
        return batches

    def _look(self) -> list[SourceBatch]:
        """Find what has come, grown, moved, been cut or gone since the last look.

        Returns a batch without rows when positions must be kept of files that give no lines now, such as whole copies:
        what tells that they are copies is overwritten with the next lines of their original.
        """
        if self._context.bounded and not self._first_look:
            return []
        now_ms = self._context.clock.now_ms()
        seen = self._folder.look(now_ms)
        files = {file.key: file for file in seen}
        found = look(self._known, seen, self._start_position)
        self._let_go(found, now_ms)
        copied = [known for key, known in found.reading.items() if key not in self._known and known.position]
        for key, known in found.reading.items():
            self._known[key] = known
            if key in self._reading:
                self._reading[key].known = known
                self._reading[key].at_end = False
            elif files[key].compressed or files[key].size_bytes > known.position or not known.position:
                self._open(known, files[key])
        unlisted = [key for key in self._reading if key not in files]
        self._order = unlisted + [file.key for file in seen if file.key in self._reading]
        self._first_look = False
        if not copied:
            return []
        offsets = [(source_partition(known), source_offset(known)) for known in copied]
        return [SourceBatch(self._config.topic, NO_ROWS, offsets)]

    def _let_go(self, found: Look, now_ms: int) -> None:
        """Close files that began anew, that go on in a copy, or that are out of sight and had time to end."""
        for key, one in list(self._reading.items()):
            if key in found.reading:
                one.unlisted_ms = None
                done = found.reading[key].position < one.known.position
            elif key in found.continued:
                done = True
            else:
                one.unlisted_ms = now_ms if one.unlisted_ms is None else one.unlisted_ms
                one.at_end, done = False, now_ms - one.unlisted_ms > UNLISTED_WAIT_MS
            if done:
                self._reading.pop(key).file.close()

    def _start_position(self, file: Seen) -> int:
        if self._first_look and self._config.from_end and not self._known and not file.compressed:
            return file.size_bytes
        return 0

    def _open(self, known: Known, seen: Seen) -> None:
        try:
            file = OpenFile(known.path)
        except OSError as error:
            if self._context.bounded:  # there is no later look that would find it
                raise Retriable(f"{known.path} cannot be opened: {error.strerror}") from error
            log.warning("%s cannot be opened: %s", known.path, error.strerror)
            return
        status = file.status()
        if (status.st_dev, status.st_ino) != known.key:
            file.close()  # replaced since the look; the next one finds it
            return
        limit = seen.size_bytes if self._context.bounded and not seen.compressed else None
        self._reading[known.key] = _Reading(known, file, limit)

    def _read_one(self, one: _Reading) -> tuple[SourceBatch | None, int]:
        """The next lines of one file, and how many bytes they took."""
        known = one.known
        size = self._config.batch_bytes
        if one.limit is not None:
            size = min(size, max(0, one.limit - known.position))
        try:
            known, data = _read_on(one, size)
        except OSError as error:
            log.warning("%s cannot be read at byte %d: %s", known.path, known.position, error)
            one.at_end = True
            return None, 0
        is_last = len(data) < size or (one.limit is not None and known.position + len(data) >= one.limit)
        final = is_last and (self._context.bounded or one.file.compressed)
        lines = split_lines(
            data,
            position=known.position,
            line_bytes_max=self._config.line_bytes_max,
            skipping=known.skipping,
            final=final,
        )
        one.at_end = is_last
        if lines.truncated:
            log.warning("%s: %d lines longer than max.line.bytes were cut off", known.path, lines.truncated)
        one.known = replace(known, position=known.position + lines.consumed, skipping=lines.skipping)
        self._known[known.key] = one.known
        if not len(lines.starts) and not lines.consumed:
            return None, len(data)
        return self._batch(one.known, lines), len(data)

    def _batch(self, known: Known, lines: Lines) -> SourceBatch:
        count = len(lines.starts)
        columns = {"key": pa.nulls(count, pa.binary()), "value": lines.values}
        if self._config.headers:
            columns["headers"] = _headers(known.path, lines)
        offsets = [(source_partition(known), source_offset(known))]
        return SourceBatch(self._config.topic, pa.RecordBatch.from_pydict(columns), offsets)


def _read_on(one: _Reading, size: int) -> tuple[Known, bytes]:
    """The next bytes. While the file is short its fingerprint grows with it.

    No bytes when the file was truncated and has begun anew: its beginning is looked at after the bytes were read, so
    that they are known to be of the old life. The next look finds the new one.
    """
    known = one.known
    data = one.file.read(known.position, size)
    if one.file.compressed:
        return known, data
    head = one.file.read(0, FINGERPRINT_BYTES)
    if not known.began_as(head):
        return known, b""
    if known.fingerprint_bytes < len(head):
        known = replace(known, fingerprint=fingerprint(head), fingerprint_bytes=len(head))
    return known, data


def _headers(path: str, lines: Lines) -> pa.Array:
    """file.path and file.offset of each line."""
    count = len(lines.starts)
    names = pa.DictionaryArray.from_arrays(
        pa.array(np.tile(np.array([0, 1], np.int8), count)), pa.array(["file.path", "file.offset"])
    ).cast(pa.string())
    offsets = pa.array(lines.starts).cast(pa.string()).cast(pa.binary())
    pool = pa.concat_arrays([offsets, pa.array([printable(path).encode()], pa.binary())])
    which = np.empty(2 * count, np.int64)
    which[0::2] = count
    which[1::2] = np.arange(count)
    pairs = pa.StructArray.from_arrays([names, pool.take(pa.array(which))], fields=list(HEADER_TYPE))
    return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * count + 1, 2, dtype=np.int32)), pairs)


def make_task(values: Mapping[str, Any]) -> FilesTask:
    config = files_config(values)
    if not config.globs:
        raise ConfigError("files: paths is required: the files to read, such as /var/log/nginx/*.log")
    return FilesTask(config)


def _told(_: SourceKey, offset: SourceOffset) -> str:
    return f"byte {offset['position']:,} of {offset['path']}"


CONNECTOR = SourceConnector(SPEC, split, make_task, told=_told)
