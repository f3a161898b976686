"""Compiles every kernel of records and formats into numba's cache, so that the first batch of a user need not wait.

`python -m millstream.core.formats.warm`; 20 to 30 s of CPU time on a new installation, a second later on.
Shell-free, but slow: call it at installation or in a process of its own. Tests: tests/core/formats/test_warm.py.
"""

import pyarrow as pa

from ..records import decode, encode, murmur2_partitions
from .json import JsonFormat
from .logs import combined_log
from .text import TextFormat

LINE = b'::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'


def compile_kernels() -> None:
    """Run each kernel once on a row or two."""
    headers = pa.array([[{"key": "a", "value": b"b"}]])
    rows = pa.RecordBatch.from_arrays([pa.array([b"k"]), pa.array([LINE]), headers], ["key", "value", "headers"])
    [batch] = encode(rows, now_ms=0)
    values = decode(batch.data, topic="warm", partition=0).records.columns.column(3)
    murmur2_partitions(rows.column(0), 1)
    combined_log().decode(values)
    TextFormat().decode(values)
    json = JsonFormat(pa.schema([("n", pa.int64()), ("x", pa.float64()), ("text", pa.string())]))
    decoded = json.decode(pa.array([b'{"n":1,"x":1.5,"text":"a"}'], pa.binary()))
    json.encode(decoded.columns)


if __name__ == "__main__":
    compile_kernels()
