"""Compiles the kernels of records, or loads them where they are, before the first records come. Pure, but slow.

Some seconds on a new installation: call it in a thread, or at installation. What is compiled on an event loop later
stops it for as long, and for what other threads compile meanwhile. Tests: tests/core/records/test_kernel_cache.py.
"""

import numpy as np
import pyarrow as pa

from . import Records, decode, encode, murmur2_partitions

KEY, VALUE = b"k", b'::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'


def compile_kernels() -> Records:
    """Run each kernel once, on one row, which is returned."""
    from ..kernels.batch_decode import read_varint

    headers = pa.array([[{"key": "a", "value": b"b"}]])
    rows = pa.RecordBatch.from_arrays([pa.array([KEY]), pa.array([VALUE]), headers], ["key", "value", "headers"])
    [batch] = encode(rows, now_ms=0)
    murmur2_partitions(rows.column(0), 1)
    read_varint(np.frombuffer(KEY, np.uint8), 0, 1, 5)
    return decode(batch.data, topic="warm", partition=0).records
