"""Changes of a store as records and back: one record a (key, window), a tombstone when it is gone. Pure.

Record key: the group columns and the window start as ops/row_keys.py writes them; value: the other columns likewise.
One further record, PROGRESS_KEY, holds the format's version, the plan's fingerprint, the input offsets and the time
that the state has reached; every commit ends with it. Also the codec of partial aggregates in repartition topics.
Tests: tests/streams/test_state.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from ..ops.buffers import binary_array, text_parts
from ..ops.key_table import KeyTable
from ..ops.row_keys import decode_rows, encode_rows

FORMAT = 1
PROGRESS_KEY = b"\xffprogress"
WATERMARK_KEY = b"\xffwatermark"


class Progress(msgspec.Struct, frozen=True):
    """What a task has reached with the commit that this record is part of; offset and incarnation are of its input."""

    fingerprint: str
    offset: int
    stream_time_ms: int
    watermark: dict[str, list[int]] = {}
    format: int = FORMAT
    incarnation: int = 0


class Announcement(msgspec.Struct, frozen=True):
    """What a source partition has reached, sent to every partition of a repartition topic.

    offset: after the rows that are in the partials up to here; -1 from versions before, which did not say it.
    """

    partition: int
    stream_time_ms: int
    idle: bool
    offset: int = -1
    format: int = FORMAT
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """The content of consecutive changelog records: each window once, with its last state."""

    changes: pa.RecordBatch
    gone: pa.RecordBatch
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Partials:
    """The content of consecutive records of a repartition topic."""

    rows: pa.RecordBatch
    announcements: list[Announcement] = field(default_factory=list)


class ChangelogCodec:
    """Codec for one store: `schema` is that of its changes, the first `key_width` columns identify a window."""

    def __init__(self, schema: pa.Schema, key_width: int) -> None:
        self._schema = schema
        self._key_width = key_width
        self._key_kinds = [field.type for field in schema][:key_width]
        self._value_kinds = [field.type for field in schema][key_width:]

    def encode(self, changes: pa.RecordBatch, gone: pa.RecordBatch | None = None) -> pa.RecordBatch:
        """Records (key, value) of changes, then tombstones of what is gone."""
        width = self._key_width
        keys = [self._encoded(changes.columns[:width], changes.num_rows)]
        values = [self._encoded(changes.columns[width:], changes.num_rows)]
        if gone is not None and gone.num_rows:
            keys.append(self._encoded(gone.columns[:width], gone.num_rows))
            values.append(pa.nulls(gone.num_rows, pa.binary()))
        return pa.RecordBatch.from_arrays([pa.concat_arrays(keys), pa.concat_arrays(values)], ["key", "value"])

    def decode_changes(self, keys: pa.Array, values: pa.Array) -> Restored:
        """What records in log order leave behind; later ones replace earlier ones. Raises ValueError when damaged."""
        _, plain_rows = self._split(keys)
        progress = self.decode_progress(keys, values)
        last = _last_of_each(keys.take(plain_rows))
        keys, kept = keys.take(plain_rows).take(last), values.take(plain_rows).take(last)
        present = kept.is_valid()
        return Restored(
            changes=self._decoded(keys.filter(present), kept.filter(present)),
            gone=self._decoded_keys(keys.filter(kept.is_null())),
            progress=progress,
        )

    def decode_progress(self, keys: pa.Array, values: pa.Array) -> Progress | None:
        """The last commit among changelog records, of whatever plan. Raises ValueError when it is damaged."""
        progress = [row for row in self._split(keys)[0] if keys[row].as_py() == PROGRESS_KEY]
        return read_progress(_held(values, progress[-1])) if progress else None

    def decode_partials(self, keys: pa.Array, values: pa.Array) -> Partials:
        """Partial aggregates and announcements, each in log order. Raises ValueError when damaged."""
        special, plain_rows = self._split(keys)
        announcements = [read_announcement(_held(values, row)) for row in special]
        return Partials(self._decoded(keys.take(plain_rows), values.take(plain_rows)), announcements)

    def _split(self, keys: pa.Array) -> tuple[list[int], pa.Array]:
        """Rows of the records that are no window's, and the other rows. Raises ValueError where there is no key."""
        if keys.null_count:
            raise ValueError("a record has no key")
        offsets, data = text_parts(keys)
        filled = offsets[1:] > offsets[:-1]
        first = np.zeros(len(keys), np.uint8)
        first[filled] = data[offsets[:-1][filled]]
        is_special = first == 0xFF
        return np.flatnonzero(is_special).tolist(), pa.array(np.flatnonzero(~is_special))

    def _encoded(self, columns: Sequence[pa.Array], count: int) -> pa.Array:
        return binary_array(*encode_rows(columns, count))

    def _decoded(self, keys: pa.Array, values: pa.Array) -> pa.RecordBatch:
        key_columns = self._decoded_keys(keys).columns
        offsets, data = text_parts(values)
        columns = [*key_columns, *decode_rows(offsets.astype(np.int64), data, self._value_kinds)]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _decoded_keys(self, keys: pa.Array) -> pa.RecordBatch:
        offsets, data = text_parts(keys)
        columns = decode_rows(offsets.astype(np.int64), data, self._key_kinds)
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(list(self._schema)[: self._key_width]))


def _last_of_each(keys: pa.Array) -> pa.Array:
    """Row numbers of the last record of each key, ascending; no key is null."""
    ids = KeyTable([pa.binary()]).intern([keys], len(keys))
    last = np.full(int(ids.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(last, ids, np.arange(len(keys)))
    return pa.array(np.sort(last))


def encode_progress(progress: Progress) -> pa.RecordBatch:
    return _one_record(PROGRESS_KEY, msgspec.json.encode(progress))


def encode_announcement(announcement: Announcement) -> pa.RecordBatch:
    return _one_record(WATERMARK_KEY, msgspec.json.encode(announcement))


def read_progress(value: bytes) -> Progress:
    """Raises ValueError when the record was written in a format that this version does not know."""
    progress = msgspec.json.decode(value, type=Progress)
    _check_format(progress.format)
    return progress


def read_announcement(value: bytes) -> Announcement:
    """Raises ValueError when the record was written in a format that this version does not know."""
    announcement = msgspec.json.decode(value, type=Announcement)
    _check_format(announcement.format)
    return announcement


def _check_format(found: int) -> None:
    if found != FORMAT:
        raise ValueError(f"they have format {found} and this version reads {FORMAT}; run the version that wrote them")


def _held(values: pa.Array, row: int) -> bytes:
    value: bytes | None = values[row].as_py()
    if value is None:
        raise ValueError(f"record {row} has no value")
    return value


def _one_record(key: bytes, value: bytes) -> pa.RecordBatch:
    arrays = [pa.array([key], pa.binary()), pa.array([value], pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, ["key", "value"])
