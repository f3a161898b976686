"""Compiles the kernels of records, or loads them where they are, before the first records come. Pure, but slow.

Some seconds on a new installation: call it in a thread, or at installation. What is compiled on an event loop later
stops it for as long, and for what other threads compile meanwhile. Tests: tests/core/records/test_kernel_cache.py.
"""

import logging
import threading
from pickle import UnpicklingError
from typing import Any

import numpy as np
import pyarrow as pa

from . import Records, decode, encode, murmur2_partitions

KEY, VALUE = b"k", b'::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'
WAIT = "compiling the kernels of records takes some 10 s of CPU time"

# What an index raises that an older version has written, see KernelCache.
GONE = (ImportError, AttributeError, EOFError, UnpicklingError)

log = logging.getLogger(__name__)
_once = threading.Lock()
_is_done = False


def load_kernels() -> None:
    """Once in a process; who comes meanwhile waits for it. Says so where they have to be compiled."""
    global _is_done
    with _once:
        if not _is_done:
            _tell_if_cold()
            compile_kernels()
            _is_done = True


def compile_kernels() -> Records:
    """Run each kernel once, on one row, which is returned."""
    from ..kernels.batch_decode import read_varint

    headers = pa.array([[{"key": "a", "value": b"b"}]])
    rows = pa.RecordBatch.from_arrays([pa.array([KEY]), pa.array([VALUE]), headers], ["key", "value", "headers"])
    [batch] = encode(rows, now_ms=0)
    murmur2_partitions(rows.column(0), 1)
    read_varint(np.frombuffer(KEY, np.uint8), 0, 1, 5)
    return decode(batch.data, topic="warm", partition=0).records


def _tell_if_cold() -> None:
    """Without a word a first run looks as if it hung."""
    from ..kernels import batch_decode, batch_encode

    kernels: tuple[Any, ...] = (batch_encode.write_batches, batch_decode.decode_batches)
    files = [getattr(kernel._cache, "_cache_file", None) for kernel in kernels]
    if None in files:
        log.warning("%s, in each process: no folder can be written for them; set NUMBA_CACHE_DIR to one that can", WAIT)
    elif not all(map(_is_filled, files)):
        log.warning("%s, once per installation (millstream warm does it ahead)", WAIT)


def _is_filled(cache_file: Any) -> bool:
    try:
        return bool(cache_file._load_index())
    except GONE:
        return False
