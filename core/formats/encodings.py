"""Values in another encoding than UTF-8, such as latin-1, made UTF-8 before a format reads them. Pure.

Encodings of one byte a character go batch by batch, values of ASCII alone as they are; others value by value.
Encodings are Python's. Tests: tests/core/formats/test_encodings.py.
"""

import codecs
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import PlanError
from ..kernels.arrow import BINARY_BYTES_MAX, binary_buffers
from .api import DecodedColumns, Format, RowFailure

UTF8: Final = "utf-8"
REMEDY: Final = "if it is text in another encoding, name that, such as encoding='latin-1'"
ASCII_END: Final = 0x80
REPLACED: Final = "\ufffd"


class Reencoded:
    """Reads as `format` does, values in the encoding `name`."""

    def __init__(self, format: Format, name: str) -> None:
        self._format = format
        self._name = name
        self._table = single_bytes(name)

    @property
    def schema(self) -> pa.Schema:
        return self._format.schema

    def decode(self, values: Any) -> DecodedColumns:
        texts, faults = to_utf8(values, self._name, self._table)
        decoded = self._format.decode(texts)
        if not faults:
            return decoded
        failures = [RowFailure(row, faults.get(row, cause)) for row, cause in decoded.failures]
        return DecodedColumns(decoded.columns, decoded.rows, failures)

    def encode(self, columns: pa.RecordBatch) -> Any:
        raise PlanError(
            f"columns {', '.join(columns.schema.names)} cannot be written with encoding={self._name!r}, which is for "
            f"reading; leave it out, and the values are UTF-8"
        )


def reencoded(format: Format, encoding: str | None) -> Format:
    """The format itself for UTF-8 and None. Raises PlanError for an encoding that Python does not know."""
    if encoding is None:
        return format
    name = known_encoding(encoding)
    return format if name == UTF8 else Reencoded(format, name)


def known_encoding(encoding: object) -> str:
    """Python's name of an encoding. Raises PlanError for what is none."""
    try:
        codec = codecs.lookup(encoding) if isinstance(encoding, str) else None
        if codec is not None:
            "".encode(codec.name).decode(codec.name)
            return codec.name
    except (LookupError, ValueError):
        pass
    raise PlanError(f"encoding={encoding!r} is not known; use 'utf-8', 'latin-1', 'cp1252' or another that Python has")


class SingleBytes(NamedTuple):
    """For each byte how many it takes in UTF-8, and whether it stands for no character."""

    sizes: npt.NDArray[np.int64]
    undefined: npt.NDArray[np.bool_]


def to_utf8(values: Any, name: str, table: SingleBytes | None) -> tuple[Any, dict[int, str]]:
    """The values as UTF-8, null where they are not in the encoding; and why, by row.

    values: pa.Array of binary. table: what single_bytes(name) gave.
    Raises PlanError for more than 2 GiB of UTF-8, twice or thrice what the values take: offsets have 32 bits.
    """
    if table is None:
        return _one_by_one(values, name)
    buffers = binary_buffers(values, "value")
    low, high = int(buffers.ends[0]), int(buffers.ends[len(values)])
    data = buffers.data[low:high]
    special = np.flatnonzero(data >= ASCII_END)
    if not special.size:
        return values, {}
    longer = np.concatenate([[0], np.cumsum(table.sizes[data[special]] - 1)])
    _check_size(high - low + int(longer[-1]), name)
    text = pa.py_buffer(data.tobytes().decode(name, "replace").encode())
    ends = buffers.ends - low
    new_ends = (ends + longer[np.searchsorted(special, ends)]).astype(np.int32)
    faults = _undefined(special[table.undefined[data[special]]], ends, data, name)
    null = values.is_null().to_numpy(zero_copy_only=False)
    null[list(faults)] = True
    validity = pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), len(values), [validity, pa.py_buffer(new_ends), text]), faults


def _undefined(places: Any, ends: Any, data: Any, name: str) -> dict[int, str]:
    """Of each row with bytes that stand for no character the first of them."""
    rows, first = np.unique(np.searchsorted(ends, places, side="right") - 1, return_index=True)
    return {
        row: f"not {name}: byte 0x{data[place]:02x} at byte {place - int(ends[row])} is no character"
        for row, place in zip(rows.tolist(), places[first].tolist(), strict=True)
    }


def _one_by_one(values: Any, name: str) -> tuple[Any, dict[int, str]]:
    texts: list[bytes | None] = []
    faults: dict[int, str] = {}
    size_bytes = 0
    for row, value in enumerate(values.to_pylist()):
        try:
            texts.append(None if value is None else value.decode(name).encode())
            size_bytes += len(texts[-1] or b"")
        except UnicodeDecodeError as error:
            texts.append(None)
            faults[row] = f"not {name}: {error.reason} at byte {error.start}"
    _check_size(size_bytes, name)
    return pa.array(texts, pa.binary()), faults


def _check_size(size_bytes: int, name: str) -> None:
    if size_bytes > BINARY_BYTES_MAX:
        raise PlanError(f"values in {name} take more than 2 GiB as UTF-8 in one batch; cut it into smaller batches")


def single_bytes(name: str) -> SingleBytes | None:
    """None if bytes make no characters each by itself, or ASCII is not itself."""
    table = SingleBytes(np.empty(256, np.int64), np.zeros(256, np.bool_))
    for byte in range(256):
        try:
            text = codecs.getincrementaldecoder(name)().decode(bytes([byte]))
        except UnicodeDecodeError:
            text, table.undefined[byte] = REPLACED, True
        if len(text) != 1 or (byte < ASCII_END and ord(text) != byte):
            return None
        table.sizes[byte] = len(text.encode())
    return table
