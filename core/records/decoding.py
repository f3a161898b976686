"""Record batches v2 to Arrow columns: checks, decompression and the kernels around them. Pure; API: core/records.

Header fields and checksums of all batches are checked first, then one kernel call decodes the records of all of them.
Aborted transactions are left out as Kafka's consumer does it (CompletedFetch): a batch is skipped while its producer
has an aborted transaction that began at or before it and whose abort marker has not been passed.
Tests: tests/core/records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from crc32c import crc32c

from ..errors import CorruptRecords
from ..kernels import batch_decode as kernels
from .codecs import CODECS, Malformed, Scratch, TooLarge
from .columns import HEADER_TYPE, RECORDS_SCHEMA, Buffer

Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

ARROW_BYTES_MAX = 2**31 - 1
CODEC_BITS, CONTROL, TRANSACTIONAL = 7, 0x20, 0x10
ABORT_MARKER = 0
CRC_COVERS_FROM = 21
EXPECTED_RATIO = 8
NO_BATCHES = np.empty((0, kernels.TABLE_COLUMNS), np.int64)
NO_BYTES = np.empty(0, np.uint8)
NO_BYTES.flags.writeable = False


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """See records.decode; `aborted` is empty unless reading committed records only."""

    from_offset: int
    aborted: Sequence[tuple[int, int]]
    check_crc: bool
    max_decompressed_bytes: int


@dataclass(frozen=True, slots=True)
class _Fetch:
    """The bytes of one fetch, and the name of where they come from, for messages."""

    view: memoryview
    blob: Bytes
    place: str

    def corrupt(self, batch: Int64s, what: str) -> CorruptRecords:
        base_offset, position = int(batch[kernels.BASE_OFFSET]), int(batch[kernels.POSITION])
        return CorruptRecords(f"{self.place}: batch with base offset {base_offset} at byte {position}: {what}")


def _no_headers() -> Any:
    return pa.StructArray.from_arrays([pa.array([], pa.string()), pa.array([], pa.binary())], fields=list(HEADER_TYPE))


NO_COLUMNS = pa.RecordBatch.from_pylist([], schema=RECORDS_SCHEMA)
NO_HEADERS = _no_headers()
HEADERS_TYPE = RECORDS_SCHEMA.field("headers").type


def decode_fetch(
    data: Buffer | Sequence[Buffer], place: str, options: DecodeOptions
) -> tuple[pa.RecordBatch, int, int]:
    """Columns as RECORDS_SCHEMA, leader epoch of the last whole batch, next offset."""
    view = _one_buffer(data)
    fetch = _Fetch(view, np.frombuffer(view, np.uint8), place)
    table = _scan(fetch)
    if len(table) == 0:
        return NO_COLUMNS, -1, options.from_offset
    if options.check_crc:
        _check_crcs(fetch, table)
    wanted = table[_wanted(fetch, table, options)]
    next_offset = int(table[-1, kernels.BASE_OFFSET] + table[-1, kernels.LAST_DELTA]) + 1
    scratch, count = _decompress(fetch, wanted, options.max_decompressed_bytes)
    if count < len(wanted):
        next_offset = int(wanted[count, kernels.BASE_OFFSET])
        wanted = wanted[:count]
    columns = _decode_records(fetch, scratch, wanted, options.from_offset)
    return columns, int(table[-1, kernels.LEADER_EPOCH]), max(next_offset, options.from_offset)


def _one_buffer(data: Buffer | Sequence[Buffer]) -> memoryview:
    if isinstance(data, (bytes, bytearray, memoryview)):
        view = memoryview(data)
    elif len(data) == 1:
        view = memoryview(data[0])
    else:
        view = memoryview(b"".join(data))
    return view.cast("B").toreadonly()


def _scan(fetch: _Fetch) -> Int64s:
    """The table of whole batches, their header fields checked."""
    count = kernels.scan_batches(fetch.blob, NO_BATCHES)
    table = np.empty((count, kernels.TABLE_COLUMNS), np.int64)
    kernels.scan_batches(fetch.blob, table)
    state = np.zeros(kernels.STATE_SLOTS, np.int64)
    fault = kernels.check_headers_of_batches(table, state)
    if fault:
        row = table[state[kernels.FAULT_BATCH]]
        text = kernels.HEADER_FAULTS[fault].format(
            length=row[kernels.LENGTH],
            magic=row[kernels.MAGIC],
            last_delta=row[kernels.LAST_DELTA],
            count=row[kernels.COUNT],
            codec=row[kernels.ATTRIBUTES] & CODEC_BITS,
            size=row[kernels.LENGTH] - kernels.MINIMUM_LENGTH,
        )
        raise fetch.corrupt(row, text)
    return table


def _check_crcs(fetch: _Fetch, table: Int64s) -> None:
    view = fetch.view
    rows = table[:, [kernels.POSITION, kernels.END_BYTE, kernels.CRC]].tolist()
    for row, (position, end, declared) in enumerate(rows):
        actual = crc32c(view[position + CRC_COVERS_FROM : end])
        if actual != declared:
            raise fetch.corrupt(table[row], f"its checksum is {actual:#010x}, the header says {declared:#010x}")


def _wanted(fetch: _Fetch, table: Int64s, options: DecodeOptions) -> npt.NDArray[np.bool_]:
    """Which batches hold records to decode."""
    attributes = table[:, kernels.ATTRIBUTES]
    last_offset = table[:, kernels.BASE_OFFSET] + table[:, kernels.LAST_DELTA]
    wanted: npt.NDArray[np.bool_] = (
        (attributes & CONTROL == 0) & (last_offset >= options.from_offset) & (table[:, kernels.COUNT] > 0)
    )
    if options.aborted:
        wanted &= ~_aborted(fetch, table, options.aborted)
    return wanted


def _aborted(fetch: _Fetch, table: Int64s, aborted: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    pending = sorted(aborted, key=lambda transaction: transaction[1], reverse=True)
    producers: set[int] = set()
    is_aborted = np.zeros(len(table), np.bool_)
    for row, batch in enumerate(table):
        while pending and pending[-1][1] <= batch[kernels.BASE_OFFSET] + batch[kernels.LAST_DELTA]:
            producers.add(pending.pop()[0])
        producer_id = int(batch[kernels.PRODUCER_ID])
        if batch[kernels.ATTRIBUTES] & CONTROL:
            if producer_id in producers and _control_type(fetch, batch) == ABORT_MARKER:
                producers.remove(producer_id)
        elif batch[kernels.ATTRIBUTES] & TRANSACTIONAL and producer_id in producers:
            is_aborted[row] = True
    return is_aborted


def _control_type(fetch: _Fetch, batch: Int64s) -> int:
    """Type of a control batch's first record, from its key (version int16, type int16); -1 for an empty batch."""
    if batch[kernels.COUNT] == 0:
        return -1
    at, end = int(batch[kernels.FIRST_BYTE]), int(batch[kernels.END_BYTE])
    length = 0
    # Its length; after a byte of attributes its time and offset, as deltas; and the length of its key.
    for skipped_bytes, varint_bytes_max in ((0, 5), (1, 10), (0, 10), (0, 5)):
        if at >= 0:
            length, at = kernels.read_varint(fetch.blob, at + skipped_bytes, end, varint_bytes_max)
    if at < 0 or length < 4 or length > end - at:
        raise fetch.corrupt(batch, "its control record has no key of 4 bytes")
    return int.from_bytes(fetch.view[at + 2 : at + 4], "big", signed=True)


def _decompress(fetch: _Fetch, wanted: Int64s, limit_bytes: int) -> tuple[Bytes, int]:
    """Decompress into one array and point the table there; how many batches fit into the limits."""
    codecs = wanted[:, kernels.ATTRIBUTES] & CODEC_BITS
    compressed = np.flatnonzero(codecs)
    if len(compressed) == 0 and len(fetch.blob) < ARROW_BYTES_MAX:
        return NO_BYTES, len(wanted)
    sizes = wanted[:, kernels.END_BYTE] - wanted[:, kernels.FIRST_BYTE]
    scratch = Scratch(int(sizes[compressed].sum()) * EXPECTED_RATIO, limit_bytes) if len(compressed) else None
    count = len(wanted)
    for row in compressed.tolist():
        assert scratch is not None
        batch = wanted[row]
        data = fetch.view[batch[kernels.FIRST_BYTE] : batch[kernels.END_BYTE]]
        name = CODECS[codecs[row]]
        try:
            first, end = scratch.add(int(codecs[row]), data)
        except Malformed as error:
            raise fetch.corrupt(batch, f"its {name} data cannot be read: {error}") from error
        except TooLarge:
            if scratch.used_bytes == 0:
                raise fetch.corrupt(batch, f"its {name} data gives more than {limit_bytes} bytes") from None
            count = row
            break
        if batch[kernels.COUNT] > (end - first) // kernels.MINIMUM_RECORD_BYTES:
            raise fetch.corrupt(batch, f"{batch[kernels.COUNT]} records do not fit into {end - first} bytes")
        batch[[kernels.FIRST_BYTE, kernels.END_BYTE, kernels.IN_SCRATCH]] = first, end, 1
    total = np.cumsum(wanted[:count, kernels.END_BYTE] - wanted[:count, kernels.FIRST_BYTE])
    count = int(np.searchsorted(total, ARROW_BYTES_MAX, side="right"))
    filled = NO_BYTES if scratch is None else scratch.filled()
    filled.flags.writeable = False
    return filled, count


def _decode_records(fetch: _Fetch, scratch: Bytes, wanted: Int64s, from_offset: int) -> pa.RecordBatch:
    rows = int(wanted[:, kernels.COUNT].sum())
    size = int((wanted[:, kernels.END_BYTE] - wanted[:, kernels.FIRST_BYTE]).sum())
    out = kernels.Columns(
        offsets=np.empty(rows, np.int64),
        timestamps=np.empty(rows, np.int64),
        key_ends=np.empty(rows + 1, np.int32),
        keys=np.empty(size, np.uint8),
        key_valid=np.empty(rows, np.uint8),
        value_ends=np.empty(rows + 1, np.int32),
        values=np.empty(size, np.uint8),
        value_valid=np.empty(rows, np.uint8),
        header_ends=np.empty(rows + 1, np.int32),
        header_at=np.empty(rows, np.int64),
    )
    state = np.zeros(kernels.STATE_SLOTS, np.int64)
    fault = kernels.decode_batches(fetch.blob, scratch, wanted, from_offset, out, state)
    if fault:
        record = int(state[kernels.FAULT_RECORD])
        raise fetch.corrupt(wanted[state[kernels.FAULT_BATCH]], f"record {record}: {kernels.FAULTS[fault]}")
    rows = int(state[kernels.ROWS])
    arrays = [
        pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(out.offsets)]),
        pa.Array.from_buffers(pa.timestamp("ms"), rows, [None, pa.py_buffer(out.timestamps)]),
        _binary(out.key_ends, out.keys, out.key_valid, rows, int(state[kernels.NULL_KEYS])),
        _binary(out.value_ends, out.values, out.value_valid, rows, int(state[kernels.NULL_VALUES])),
        _headers(fetch, scratch, out, rows, state),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORDS_SCHEMA)


def _binary(ends: npt.NDArray[np.int32], data: Bytes, valid: Bytes, rows: int, nulls: int) -> Any:
    used = int(ends[rows])
    if used < len(data) // 2:
        data = data[:used].copy()
    validity = pa.py_buffer(np.packbits(valid[:rows], bitorder="little")) if nulls else None
    return pa.Array.from_buffers(pa.binary(), rows, [validity, pa.py_buffer(ends), pa.py_buffer(data)], nulls)


def _headers(fetch: _Fetch, scratch: Bytes, columns: kernels.Columns, rows: int, state: Int64s) -> Any:
    count = int(state[kernels.HEADERS])
    entries = _header_entries(fetch, scratch, columns, rows, state) if count else NO_HEADERS
    return pa.Array.from_buffers(HEADERS_TYPE, rows, [None, pa.py_buffer(columns.header_ends)], 0, children=[entries])


def _header_entries(fetch: _Fetch, scratch: Bytes, columns: kernels.Columns, rows: int, state: Int64s) -> Any:
    count = int(state[kernels.HEADERS])
    out = kernels.HeaderColumns(
        key_ends=np.empty(count + 1, np.int32),
        keys=np.empty(int(state[kernels.HEADER_KEY_BYTES]), np.uint8),
        value_ends=np.empty(count + 1, np.int32),
        values=np.empty(int(state[kernels.HEADER_VALUE_BYTES]), np.uint8),
        value_valid=np.empty(count, np.uint8),
    )
    nulls = kernels.decode_headers(fetch.blob, scratch, columns.header_at[:rows], columns.header_ends[: rows + 1], out)
    keys = _strings(_binary(out.key_ends, out.keys, out.value_valid, count, 0))
    values = _binary(out.value_ends, out.values, out.value_valid, count, nulls)
    return pa.StructArray.from_arrays([keys, values], fields=list(HEADER_TYPE))


def _strings(binary: Any) -> Any:
    """Header keys as text; bytes that are not UTF-8 are replaced, as Java's client does."""
    try:
        return binary.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([value.decode("utf-8", "replace") for value in binary.to_pylist()], pa.string())
