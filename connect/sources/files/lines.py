"""Bytes of a file to lines, as one Arrow column, with the position of each. Pure.

A line ends at a newline, which does not belong to it, nor does a carriage return before it. Nor does the byte order
mark that Windows writes at the beginning of a file belong to its first line.
Tested in tests/connect/sources/test_lines.py against Python's own splitting.
"""

import codecs
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Int64Array = npt.NDArray[np.int64]

NEWLINE = 10
CARRIAGE_RETURN = 13
# "BZh", the block size, and the number pi before the first block or the square root of pi where there is none.
BZIP2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")
MAGICS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz", b"\x04\x22\x4d\x18": "lz4", b"\x1f\x8b\x08": "gzip"}
PACKED = "and only gzip files whose names end in .gz or .gzip are decompressed: decompress it, or name it in `exclude`"
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Lines:
    """values: binary, shape (n,). starts: shape (n,), position in the file of each line's first byte.

    consumed: how many of the bytes are done with. skipping: the last line was cut off at its longest, and the rest of
    it is still to come and to be passed over. truncated: how many lines were cut off.
    """

    values: pa.Array
    starts: Int64Array
    consumed: int
    skipping: bool = False
    truncated: int = 0


def split_lines(
    data: bytes, *, position: int, line_bytes_max: int, skipping: bool = False, final: bool = False
) -> Lines:
    """Whole lines of `data`, which stands at `position` of its file.

    final: no more bytes will follow, so a last line without a newline counts. skipping: `data` begins within a line
    that was already handed over as far as it may be long.
    """
    begin = len(codecs.BOM_UTF8) if not position and data.startswith(codecs.BOM_UTF8) else 0
    if skipping:
        newline = data.find(b"\n")
        if newline < 0:
            return _no_lines(len(data), skipping=not final)
        begin = newline + 1
    ends = np.flatnonzero(np.frombuffer(data, np.uint8, offset=begin) == NEWLINE).astype(np.int64) + begin
    done = int(ends[-1]) + 1 if len(ends) else begin
    rest = len(data) - done
    cut_off = not final and rest > line_bytes_max
    if rest and (final or cut_off):
        ends = np.append(ends, len(data))
        done = len(data)
    if not len(ends):
        return _no_lines(done if skipping else 0, skipping=False)
    starts = np.concatenate((np.array([begin], np.int64), ends[:-1] + 1))
    values, truncated = _column(data, starts, ends, line_bytes_max)
    return Lines(values, starts + position, done, skipping=cut_off, truncated=truncated)


def what_else(data: bytes) -> str:
    """Of a file that begins so, why its bytes are no lines, and what to do about it; "" if they may be lines."""
    if data.startswith(UTF16_MARKS):  # as PowerShell writes it
        return "is UTF-16, which gives no lines that can be read: convert it to UTF-8"
    if BZIP2.match(data):
        return f"is compressed by bzip2, {PACKED}"
    name = next((name for magic, name in MAGICS.items() if data.startswith(magic)), "")
    return f"is compressed by {name}, {PACKED}" if name else ""


def cut_off(count: int, line_bytes_max: int) -> str:
    """What is to be said of lines that were too long."""
    lines = "1 line was" if count == 1 else f"{count:,} lines were"
    return f"{lines} cut off at max.line.bytes={line_bytes_max:,}: what came after that is lost; raise it to keep more"


def _no_lines(consumed: int, *, skipping: bool) -> Lines:
    return Lines(pa.array([], pa.binary()), np.empty(0, np.int64), consumed, skipping)


def _column(data: bytes, starts: Int64Array, ends: Int64Array, line_bytes_max: int) -> tuple[pa.Array, int]:
    """Neighbouring lines are one byte apart, so one slice per column takes the newlines away."""
    terminated = int(ends[-1]) < len(data)
    offsets = np.append(starts, ends[-1] + 1 if terminated else ends[-1]).astype(np.int32)
    whole = pa.Array.from_buffers(pa.binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    values = pc.binary_slice(whole, 0, -1)
    if not terminated:  # the last line has no newline to take away
        values = pa.concat_arrays([values.slice(0, len(values) - 1), whole.slice(len(whole) - 1)])
    if b"\r" in data:  # looking for one byte is ten times as fast as for two
        before_end = np.frombuffer(data, np.uint8)[np.maximum(ends - 1, 0)]
        with_return = (before_end == CARRIAGE_RETURN) & (ends > starts) & (ends < len(data))
        values = pc.if_else(pa.array(with_return), pc.binary_slice(values, 0, -1), values)
    long = ends - starts > line_bytes_max
    if long.any():
        values = pc.if_else(pa.array(long), pc.binary_slice(values, 0, line_bytes_max), values)
    return values, int(long.sum())
