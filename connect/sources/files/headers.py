"""The headers file.path and file.offset of each line, as one Arrow column. Pure."""

import numpy as np
import pyarrow as pa

from ....core.records import HEADER_TYPE
from .known import printable
from .lines import Lines


def headers(path: str, lines: Lines) -> pa.Array:
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
